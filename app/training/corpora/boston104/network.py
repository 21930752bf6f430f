"""The recogniser's network over tracks: an encoder for a few points, and twice as many steps; several as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.pipeline.module3_sequence.model import Lattice, ModelConfig, SignModel
from app.pipeline.module3_sequence.temporal import TemporalConvolution
from app.training.corpora.boston104.features import TRACK_FEATURES

#: Frames of a lattice step: tracks are coarse and signs short.
DIVISOR = 2
#: What config.json says beside the fields of `TracksConfig`.
_FIXED: dict[str, Any] = {"pose_encoder": "tracks", "time_divisor": DIVISOR}


class TracksEncoder(nn.Module):
    """Features of a few tracked points, (B, T, features) -> (B, T, model_dim).

    They come in units of their own, so each is brought to mean 0 and deviation 1 by the running statistics of training.
    """

    def __init__(self, features: int, model_dim: int, dropout: float) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(features, affine=False)
        self.join = nn.Linear(features, model_dim)
        self.norm = nn.LayerNorm(model_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        scaled = self.scale(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return self.dropout(F.gelu(self.norm(self.join(scaled))))


class HalfConvolution(TemporalConvolution):
    """K5-P2-K5: the second pooling is left out, so T and lengths are multiples of 2 and time is divided by 2."""

    pools: ClassVar[tuple[int, int]] = (DIVISOR, 1)


@dataclass(frozen=True)
class TracksConfig(ModelConfig):
    """The config of a `TracksModel`; the sizes of encoders of bodies and hands are not used."""

    features: int = TRACK_FEATURES

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises TypeError for an unknown key, ValueError for another encoder, step or width."""
        for key, value in {**_FIXED, "features": TRACK_FEATURES}.items():
            if values.get(key, value) != value:
                raise ValueError(f"a network over tracks has {key} {value!r}, not {values[key]!r}")
        return super().from_dict({key: value for key, value in values.items() if key not in _FIXED})

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **_FIXED}


class TracksModel(SignModel):
    """Features of tracks (B, T, features), lengths (B,), multiples of 2 -> `Lattice` with T / 2 steps."""

    config_type: ClassVar[type[ModelConfig]] = TracksConfig
    convolution_type: ClassVar[type[TemporalConvolution]] = HalfConvolution

    @staticmethod
    def frame_encoder(config: ModelConfig) -> nn.Module:
        return TracksEncoder(config.features, config.model_dim, config.dropout)


class SignEnsemble(nn.Module):
    """Features (B, T, features), lengths (B,) -> `Lattice` whose logits are the mean of the members' log-probabilities
    (B, S, V), so that what all find likely wins (a product of experts, up to scale).

    Averaging steps makes sense where the members place signs alike: that is so for networks taught where each sign
    begins and ends, not for CTC alone, whose spikes fall where each network likes.
    """

    def __init__(self, members: Iterable[SignModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not self.members:
            raise ValueError("an ensemble needs at least one network")

    @classmethod
    def of(cls, config: ModelConfig, count: int) -> SignEnsemble:
        """`count` fresh networks."""
        return cls(TracksModel(config) for _ in range(count))

    def forward(self, features: Tensor, lengths: Tensor) -> Lattice:
        lattices = [member(features, lengths) for member in self.members]

        def mean(name: str) -> Tensor:
            rows = [F.log_softmax(getattr(lattice, name).float(), dim=-1) for lattice in lattices]
            return torch.stack(rows).mean(dim=0)

        return Lattice(mean("logits"), mean("conv_logits"), lattices[0].steps, lattices[0].gates)
