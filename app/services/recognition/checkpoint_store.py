"""Which checkpoints lie on this machine, by id: those in CHECKPOINT_DIR, and what training runs made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.core.errors import CheckpointRefused
from app.core.settings import CHECKPOINT_ID, Settings, SettingsError
from app.pipeline.checkpoint import (
    KEYPOINTS,
    CheckpointConfig,
    CheckpointError,
    OtherKeypoints,
    looks_pickled,
    read_config,
)

#: Files that hold weights as pickles, which run whatever their maker wrote into them when they are opened.
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint on the disk. source: 'shipped' (CHECKPOINT_DIR) or 'run' (a training run's `final`)."""

    id: str
    folder: Path
    source: Literal["shipped", "run"]


def _is_whole(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file() and (folder / "config.json").is_file()


def checkpoint_ids(folder: Path) -> list[str]:
    """Ids of the folders that hold weights and a config, sorted; [] where the folder is missing."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if CHECKPOINT_ID.fullmatch(entry.name) and _is_whole(entry))


def check_checkpoint(settings: Settings) -> None:
    """Raise SettingsError, naming what there is, when the wished checkpoint is not there."""
    ids = checkpoint_ids(settings.checkpoint_dir)
    if settings.checkpoint in ids:
        return
    there = f"there are: {', '.join(ids)}" if ids else "there is none in it"
    raise SettingsError(
        f"CHECKPOINT={settings.checkpoint}: no such checkpoint in {settings.checkpoint_dir} ({there}). "
        "Set CHECKPOINT to one of these, or CHECKPOINT_DIR to the folder that holds yours; a checkpoint is a folder "
        "with model.safetensors and config.json. Where files of this repository are missing, "
        "`git checkout -- checkpoints` brings them back."
    )


def stored_checkpoints(settings: Settings) -> list[Stored]:
    """All there are, shipped ones first, each by id; of two with one id the shipped one counts."""
    shipped = [
        Stored(name, settings.checkpoint_dir / name, "shipped") for name in checkpoint_ids(settings.checkpoint_dir)
    ]
    known = {stored.id for stored in shipped}
    runs = [] if not settings.runs_dir.is_dir() else sorted(settings.runs_dir.iterdir(), reverse=True)
    return shipped + [
        Stored(run.name, run / "final", "run")
        for run in runs
        if run.name not in known and CHECKPOINT_ID.fullmatch(run.name) and _is_whole(run / "final")
    ]


def find_checkpoint(settings: Settings, checkpoint: str) -> Stored | None:
    """The one with this id, half ones too: whether it can be used is asked afterwards."""
    if not CHECKPOINT_ID.fullmatch(checkpoint):
        return None
    places = (
        Stored(checkpoint, settings.checkpoint_dir / checkpoint, "shipped"),
        Stored(checkpoint, settings.runs_dir / checkpoint / "final", "run"),
    )
    return next((stored for stored in places if stored.folder.is_dir()), None)


def check_usable(stored: Stored) -> CheckpointConfig:
    """Its config. Raises CheckpointRefused for pickles, damaged files and what another kind of recogniser needs."""
    try:
        _check_files(stored)
        return read_config(stored.folder)
    except OtherKeypoints as problem:
        raise CheckpointRefused(
            f"'{stored.id}' reads keypoints of the kind '{problem.keypoints}'; this service finds '{KEYPOINTS}'. Use a "
            "checkpoint that was trained on those."
        ) from problem
    except (CheckpointError, OSError) as problem:
        raise refused(stored, problem) from problem


def _check_files(stored: Stored) -> None:
    """Raises CheckpointRefused, OSError."""
    weights = stored.folder / "model.safetensors"
    pickles = sorted(path.name for path in stored.folder.iterdir() if path.suffix in _PICKLES)
    if not weights.is_file():
        raise CheckpointRefused(
            f"'{stored.id}' holds pickled weights ({', '.join(pickles)}), which are never opened: pickles can run "
            "code. Save the weights as model.safetensors."
            if pickles
            else f"'{stored.id}' holds no model.safetensors: it is not whole. Copy it again, or wait until its "
            "training has written it."
        )
    if looks_pickled(weights):
        raise CheckpointRefused(
            f"The file model.safetensors of '{stored.id}' is a pickle under another name. Pickles are never opened: "
            "they can run code. Save the weights with safetensors."
        )


def refused(stored: Stored, problem: Exception) -> CheckpointRefused:
    """What went wrong with a checkpoint, for those who may not know where it lies on this machine."""
    said = str(problem).replace(str(stored.folder), stored.id).replace(str(stored.folder.parent), "its folder")
    return CheckpointRefused(f"'{stored.id}' cannot be used: {said.rstrip('.')}.")


def described(stored: Stored) -> dict[str, Any]:
    """sign_language, glosses and word error rate of a checkpoint, None where unknown; problem: why it
    cannot be used."""
    found: dict[str, Any] = {"sign_language": None, "glosses": None, "wer": None, "problem": None}
    try:
        config = check_usable(stored)
    except CheckpointRefused as problem:
        return {**found, "problem": problem.detail}
    found |= {"sign_language": config.sign_language, "glosses": list(config.vocabulary)}
    wer = config.provenance.get("wer")
    return {**found, "wer": wer if isinstance(wer, float) and math.isfinite(wer) else None}
