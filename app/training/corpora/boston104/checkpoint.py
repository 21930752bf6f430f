"""Checkpoints whose networks read the tracks: the pipeline's, with what several networks and tracks add."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, load_weights, read_values
from app.pipeline.module3_sequence.model import SignModel
from app.training.corpora.boston104.features import TRACK_FPS, TRACK_NORMALISER, TRACKS
from app.training.corpora.boston104.network import SignEnsemble, TracksModel


@dataclass(frozen=True)
class TracksCheckpoint(CheckpointConfig):
    """The config of a checkpoint that reads tracks."""

    keypoints: ClassVar[str] = TRACKS
    normaliser: ClassVar[str] = TRACK_NORMALISER
    fps: ClassVar[float] = TRACK_FPS
    network: ClassVar[type[SignModel]] = TracksModel

    members: int = 1
    """Number of networks of the same architecture whose outputs are averaged."""

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"a checkpoint has at least one network, not {self.members} networks")

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **({"members": self.members} if self.members > 1 else {})}

    @classmethod
    def _fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**super()._fields(values), "members": int(values.get("members", 1))}


def load_ensemble(folder: Path) -> tuple[TracksCheckpoint, SignEnsemble]:
    """Config and networks in eval mode. Raises CheckpointError."""
    values = read_values(folder)
    if values.get("keypoints") != TRACKS:
        raise CheckpointError(f"checkpoint {folder.name!r} reads {values.get('keypoints')}, not {TRACKS}")
    config = TracksCheckpoint.from_dict(values)
    ensemble = SignEnsemble.of(config.model, config.members)
    load_weights(folder, ensemble if config.members > 1 else ensemble.members[0])
    return config, ensemble.eval()


def load_network(folder: Path) -> tuple[TracksCheckpoint, SignModel]:
    """The same for a checkpoint of one network. Raises CheckpointError, also for several."""
    config, ensemble = load_ensemble(folder)
    if config.members != 1:
        raise CheckpointError(f"checkpoint '{config.model_id}' averages {config.members} networks; one is wanted here")
    model = ensemble.members[0]
    assert isinstance(model, SignModel)
    return config, model
