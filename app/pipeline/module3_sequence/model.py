"""Modules 2 and 3 as one network: features and pictures in, a CTC lattice out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.pipeline.module1_preprocessing.crops import views
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module2_feature.fusion import GatedFusion
from app.pipeline.module2_feature.pose_encoder import FlatPoseEncoder, PoseEncoder, TracksEncoder
from app.pipeline.module2_feature.rgb_encoder import Backbone, RGBEncoder
from app.pipeline.module3_sequence.temporal import TIME_DIVISOR, AttentionEncoder, BiLSTM, TemporalConvolution

BLANK = 0


@dataclass(frozen=True)
class RGBConfig:
    """The RGB stream. weights: None, "default" (torchvision's) or a file; size: side of the square crops in pixels.

    hands: a crop of each hand beside the body's, through the same network. heads: each stream gets a small CTC head of
    its own, which trains it directly and says how well it reads alone; nothing is computed for them when reading.
    """

    backbone: Backbone = "resnet18"
    weights: str | None = "default"
    size: int = 112
    stream_dropout: float = 0.15
    hands: bool = False
    heads: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network again.

    labels: vocabulary size without the blank. body: what the encoder "groups" reads of the body, see `PoseEncoder`.
    norm: of the convolutions, see `TemporalConvolution`. hidden, residual: of the BiLSTM, see `BiLSTM`. features,
    time_divisor: numbers a frame and frames a lattice step; only the encoder "tracks" may have others than those of
    cameras.
    """

    labels: int
    pose_encoder: Literal["groups", "flat", "tracks"] = "groups"
    body_dim: int = 64
    hand_dim: int = 96
    model_dim: int = 192
    body: Literal["all", "head"] = "all"
    norm: Literal["batch", "layer"] = "batch"
    temporal: Literal["bilstm", "transformer"] = "bilstm"
    layers: int = 2
    hidden: int | None = None
    residual: bool = False
    dropout: float = 0.2
    cosine_scale: float = 16.0
    shared_classifier: bool = True
    features: int = NUM_FEATURES
    time_divisor: int = TIME_DIVISOR
    rgb: RGBConfig | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Inverse of `to_dict`. Raises TypeError for a key this version does not know."""
        rgb = values.get("rgb")
        return cls(**{**values, "rgb": RGBConfig(**rgb) if rgb else None})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def without_pretrained(self) -> ModelConfig:
        """The same network for weights that come from elsewhere: none are fetched for it when it is built."""
        return replace(self, rgb=replace(self.rgb, weights=None)) if self.rgb else self


class CosineClassifier(nn.Module):
    """L2-normalised classifier: scale * cos(x, w), (..., dim) -> (..., classes) (SMKD, Hao et al., 2021)."""

    def __init__(self, dim: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, dim) * dim**-0.5)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


@dataclass
class Lattice:
    """logits: (B, S, 1 + labels), column 0 the blank; conv_logits: the auxiliary head's; steps: (B,) valid steps;
    gates: (B, T, 2) weight of rgb and pose; streams: logits of each stream's own head, by its name; pictured: did the
    model see pictures?"""

    logits: Tensor
    conv_logits: Tensor
    steps: Tensor
    gates: Tensor
    streams: dict[str, Tensor] = field(default_factory=dict)
    pictured: bool = False


class StreamHead(nn.Module):
    """One stream's own CTC head: (B, T, dim), lengths (B,) -> logits (B, T / 4, 1 + labels)."""

    def __init__(self, dim: int, labels: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(dim, dim, dropout)
        self.classifier = CosineClassifier(dim, 1 + labels, scale)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.convolution(frames, lengths))
        return logits


class SignModel(nn.Module):
    """Landmark features (B, T, features), T a multiple of 4, and optional pictures (B, T, 3, H, W) -> `Lattice`.

    lengths: (B,) valid frames, each a multiple of 4 (of `time_divisor`); what lies past it does not matter. A model
    with an RGB stream also runs without pictures, on the pose stream alone.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        tracks = config.pose_encoder == "tracks"
        if config.features != NUM_FEATURES and not tracks:
            raise ValueError(f"the model reads {config.features} features a frame, this version makes {NUM_FEATURES}")
        if config.time_divisor != TIME_DIVISOR and not tracks:
            raise ValueError(f"a lattice step of landmarks is {TIME_DIVISOR} frames, not {config.time_divisor}")
        self.config = config
        dim = config.model_dim
        self.pose: nn.Module
        if tracks:
            self.pose = TracksEncoder(config.features, dim, config.dropout)
        elif config.pose_encoder == "groups":
            self.pose = PoseEncoder(config.body_dim, config.hand_dim, dim, config.body)
        else:
            self.pose = FlatPoseEncoder(dim)
        self.rgb = RGBEncoder(config.rgb.backbone, config.rgb.weights, views(config.rgb.hands)) if config.rgb else None
        self.fusion = GatedFusion(self.rgb.out_dim, dim, config.rgb.stream_dropout) if config.rgb and self.rgb else None
        self.convolution = TemporalConvolution(dim, dim, config.dropout, config.time_divisor, config.norm)
        self.sequence: nn.Module = (
            BiLSTM(dim, config.layers, config.dropout, config.hidden, config.residual)
            if config.temporal == "bilstm"
            else AttentionEncoder(dim, config.layers, config.dropout)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = CosineClassifier(dim, 1 + config.labels, config.cosine_scale)
        # None means shared: the same weights must not stand twice in a checkpoint.
        self.conv_classifier = (
            None if config.shared_classifier else CosineClassifier(dim, 1 + config.labels, config.cosine_scale)
        )

        self.heads = nn.ModuleDict(
            {
                name: StreamHead(dim, config.labels, config.dropout, config.cosine_scale)
                for name in (("rgb", "pose") if config.rgb and config.rgb.heads else ())
            }
        )

    def look(self, pictures: Tensor) -> Tensor:
        """What the RGB encoder makes of each picture alone: (N, 3 * views, S, S) -> (N, rgb.out_dim)."""
        if self.rgb is None:
            raise ValueError("this model has no RGB stream")
        frames: Tensor = self.rgb(pictures[None])[0]
        return frames

    def encode_frames(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Module 2, frame by frame: (B, T, model_dim) and gates (B, T, 2).

        features: (B, T, features), or behind them in each row what `look` made of the frame's pictures, NaN where there
        were none: (B, T, features + rgb.out_dim).
        """
        landmarks, seen = features[..., : self.config.features], features[..., self.config.features :]
        pose = self.pose(landmarks)
        alone, gates = self._fused(None, pose)
        if not seen.shape[-1]:
            return alone, gates
        pictured = ~seen[..., :1].isnan()
        both, weights = self._fused(seen.nan_to_num(0.0), pose)
        return torch.where(pictured, both, alone), torch.where(pictured, weights, gates)

    def _streams(
        self, features: Tensor, pictures: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor | None, Tensor]:
        """What each stream makes of the frames: (B, T, rgb.out_dim) or None without pictures, (B, T, model_dim)."""
        seen = None if pictures is None or self.rgb is None else self.rgb(pictures, lengths)
        return seen, self.pose(features)

    def _fused(self, rgb: Tensor | None, pose: Tensor, without_pose: bool = False) -> tuple[Tensor, Tensor]:
        if rgb is None or self.fusion is None:
            gates = torch.zeros(*pose.shape[:2], 2, device=pose.device, dtype=pose.dtype)
            gates[..., 1] = 1
            return pose, gates
        fused: tuple[Tensor, Tensor] = self.fusion(rgb, pose, without_pose)
        return fused

    def shorten(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """What sees only the frames around a step, convolutions included: (B, T / 4, model_dim) and gates (B, T, 2).

        features: as `encode_frames` takes them. Without lengths all rows are whole; so too in `classify`.
        """
        frames, gates = self.encode_frames(features)
        return self.convolution(frames, lengths), gates

    def classify(self, short: Tensor, steps: Tensor | None) -> Tensor:
        """What sees the whole window: (B, S, model_dim), steps (B,) -> logits (B, S, 1 + labels)."""
        logits: Tensor = self.classifier(self.dropout(self.sequence(short, steps)))
        return logits

    def forward(
        self, features: Tensor, lengths: Tensor, pictures: Tensor | None = None, without_pose: bool = False
    ) -> Lattice:
        """without_pose: let the pictures speak alone, to measure what they know."""
        rgb, pose = self._streams(features, pictures, lengths)
        frames, gates = self._fused(rgb, pose, without_pose)
        short = self.convolution(frames, lengths)
        steps = lengths // self.config.time_divisor
        streams = {"pose": self.heads["pose"](pose, lengths)} if self.heads else {}
        if self.heads and self.fusion is not None and rgb is not None:
            streams["rgb"] = self.heads["rgb"](self.fusion.rgb(rgb), lengths)
        return Lattice(
            logits=self.classify(short, steps),
            conv_logits=(self.conv_classifier or self.classifier)(short),
            steps=steps,
            gates=gates,
            streams=streams,
            pictured=rgb is not None,
        )
