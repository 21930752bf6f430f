"""Modules 2 and 3 as one network: features and images in, a CTC lattice out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.pipeline.module1_preprocessing.crops import num_views
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module2_feature.fusion import GatedFusion, pose_alone
from app.pipeline.module2_feature.pose_encoder import FlatPoseEncoder, PoseEncoder
from app.pipeline.module2_feature.rgb_encoder import Backbone, RGBEncoder
from app.pipeline.module3_sequence.steps import TIME_DIVISOR
from app.pipeline.module3_sequence.temporal import AttentionEncoder, BiLSTM, TemporalConvolution


@dataclass(frozen=True)
class RGBConfig:
    """The RGB stream."""

    backbone: Backbone = "resnet18"
    weights: str | None = "default"
    """Pretrained weights: None, "default" (torchvision's) or a file."""
    size: int = 112
    """Side of the square crops in pixels."""
    stream_dropout: float = 0.15
    hands: bool = False
    """A crop of each hand beside the body's, through the same network."""
    heads: bool = False
    """Each stream gets a small CTC head of its own, which trains it directly and says how well it reads alone; nothing
    is computed for them when reading."""


@dataclass(frozen=True)
class ExpertConfig:
    """A second network that knows some of the glosses."""

    columns: tuple[int, ...]
    """The label in the large network of each of its own labels 1, 2, ..."""
    weight: float
    """How much its log-probabilities count beside those of the large network, >= 0."""
    model: ModelConfig
    """Of the network itself."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network again."""

    labels: int
    """Vocabulary size without the blank."""
    pose_encoder: Literal["groups", "flat"] = "groups"
    body_dim: int = 64
    hand_dim: int = 96
    model_dim: int = 192
    body: Literal["all", "head"] = "all"
    """What the encoder "groups" reads of the body, see `PoseEncoder`."""
    norm: Literal["batch", "layer"] = "batch"
    """Of the convolutions over time, see `TemporalConvolution`."""
    temporal: Literal["bilstm", "transformer"] = "bilstm"
    layers: int = 2
    hidden: int | None = None
    """Cells of each direction of the BiLSTM; None: half of model_dim, and no projection behind them."""
    residual: bool = False
    """Add what goes into the BiLSTM to what comes out."""
    dropout: float = 0.2
    cosine_scale: float = 16.0
    shared_classifier: bool = True
    features: int = NUM_FEATURES
    """Numbers a frame."""
    rgb: RGBConfig | None = None
    expert: ExpertConfig | None = None
    """Has a say in which of its glosses a sign is, see `Expert`."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises TypeError for a key this version does not know."""
        known = dict(values)
        if known.get("time_divisor") == TIME_DIVISOR:  # written by some earlier versions
            del known["time_divisor"]
        rgb, expert = known.get("rgb"), known.get("expert")
        if expert:
            expert = ExpertConfig(tuple(expert["columns"]), float(expert["weight"]), cls.from_dict(expert["model"]))
        return cls(**{**known, "rgb": RGBConfig(**rgb) if rgb else None, "expert": expert or None})

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return values if self.expert else {k: v for k, v in values.items() if k != "expert"}

    @property
    def short_dim(self) -> int:
        """Width of what `SignModel.encode_frames` returns."""
        return self.model_dim + (self.expert.model.short_dim if self.expert else 0)

    def without_pretrained(self) -> Self:
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
    """What the network answers."""

    logits: Tensor
    """(B, S, 1 + labels), column 0 the blank."""
    conv_logits: Tensor
    """The auxiliary head's."""
    steps: Tensor
    """(B,) valid steps."""
    gates: Tensor
    """(B, T, 2) weights of rgb and pose."""
    streams: dict[str, Tensor] = field(default_factory=dict)
    """Logits of each stream's own head, by its name."""
    with_images: bool = False
    """Whether the model saw images."""


class StreamHead(nn.Module):
    """One stream's own CTC head: (B, T, dim), lengths (B,) -> logits (B, T / 4, 1 + labels)."""

    def __init__(self, dim: int, labels: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(dim, dim, dropout)
        self.classifier = CosineClassifier(dim, 1 + labels, scale)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        return self.classifier(self.convolution(frames, lengths))


class Expert(nn.Module):
    """A second network of few glosses beside a large one: a product of experts (Hinton, 2002) over those glosses.

    How probable it is that one of them is signed, and when, is left to the large network; which of them it is, both
    decide. Trained on other signers and on more of the body, the second errs on other people.
    """

    columns: Tensor

    def __init__(self, config: ExpertConfig, labels: int) -> None:
        """labels: of the large network. Raises ValueError where the columns are not some of them, each once."""
        super().__init__()
        if config.model.rgb or config.model.expert or not config.weight >= 0:
            raise ValueError("an expert reads landmarks alone, has no expert of its own and a weight of at least 0")
        taken, wanted = set(config.columns), config.model.labels
        if not len(taken) == len(config.columns) == wanted or not taken <= set(range(1, labels + 1)):
            raise ValueError(f"an expert of {wanted} labels needs as many different columns of 1..{labels}")
        self.weight = config.weight
        self.model = SignModel(config.model)
        self.register_buffer("columns", torch.tensor(config.columns), persistent=False)

    def forward(self, logits: Tensor, short: Tensor, steps: Tensor | None) -> Tensor:
        """Logits (B, S, 1 + labels) of the large network, and what the expert's first half made (B, S, its model_dim)
        -> logits (B, S, 1 + labels). The probability of all its glosses together stays."""
        own = logits.index_select(-1, self.columns).float()
        both = own + self.weight * self.model.classify(short, steps)[..., 1:].float().log_softmax(-1)
        both = both - both.logsumexp(-1, keepdim=True) + own.logsumexp(-1, keepdim=True)
        return logits.index_copy(-1, self.columns, both.to(logits.dtype))


class SignModel(nn.Module):
    """Landmark features (B, T, features), T a multiple of 4, and optional images (B, T, 3 * views, S, S) -> `Lattice`.

    lengths: (B,) valid frames, each a multiple of 4; what lies past it does not matter. A model with an RGB stream also
    runs without images, on the pose stream alone. A corpus whose frames are not landmarks derives from it.
    """

    config_type: ClassVar[type[ModelConfig]] = ModelConfig
    convolution_type: ClassVar[type[TemporalConvolution]] = TemporalConvolution

    def __init__(self, config: ModelConfig) -> None:
        """Raises ValueError for a config that this version cannot build."""
        super().__init__()
        self.config = config
        dim = config.model_dim
        self.pose = self.frame_encoder(config)
        self.rgb = (
            RGBEncoder(config.rgb.backbone, config.rgb.weights, num_views(config.rgb.hands)) if config.rgb else None
        )
        self.fusion = GatedFusion(self.rgb.out_dim, dim, config.rgb.stream_dropout) if config.rgb and self.rgb else None
        self.convolution = self.convolution_type(dim, dim, config.dropout, config.norm)
        self.sequence: nn.Module = (
            BiLSTM(dim, config.layers, config.dropout, config.hidden, config.residual)
            if config.temporal == "bilstm"
            else AttentionEncoder(dim, config.layers, config.dropout)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = CosineClassifier(dim, 1 + config.labels, config.cosine_scale)
        # None means shared: the same weights must not be stored twice in a checkpoint.
        self.conv_classifier = (
            None if config.shared_classifier else CosineClassifier(dim, 1 + config.labels, config.cosine_scale)
        )
        names = ("rgb", "pose") if config.rgb and config.rgb.heads else ()
        self.heads = nn.ModuleDict(
            {name: StreamHead(dim, config.labels, config.dropout, config.cosine_scale) for name in names}
        )
        self.expert = Expert(config.expert, config.labels) if config.expert else None

    @staticmethod
    def frame_encoder(config: ModelConfig) -> nn.Module:
        """The pose stream: (B, T, features) -> (B, T, model_dim). Raises ValueError."""
        if config.features != NUM_FEATURES:
            raise ValueError(f"the model reads {config.features} features a frame, this version makes {NUM_FEATURES}")
        if config.pose_encoder == "groups":
            return PoseEncoder(config.body_dim, config.hand_dim, config.model_dim, config.body)
        return FlatPoseEncoder(config.model_dim)

    def encode_images(self, images: Tensor) -> Tensor:
        """What the RGB encoder makes of each frame's crops alone: (N, 3 * views, S, S) -> (N, rgb.out_dim)."""
        if self.rgb is None:
            raise ValueError("this model has no RGB stream")
        return self.rgb(images[None])[0]

    def fuse_frames(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Module 2, frame by frame: (B, T, model_dim) and gates (B, T, 2).

        features: (B, T, features), or behind them in each row what `encode_images` made of the frame's crops, NaN
        where there were none: (B, T, features + rgb.out_dim).
        """
        landmarks, seen = features[..., : self.config.features], features[..., self.config.features :]
        pose = self.pose(landmarks)
        alone, gates = self._fused(None, pose)
        if not seen.shape[-1]:
            return alone, gates
        there = ~seen[..., :1].isnan()
        both, weights = self._fused(seen.nan_to_num(0.0), pose)
        return torch.where(there, both, alone), torch.where(there, weights, gates)

    def _fused(self, rgb: Tensor | None, pose: Tensor, without_pose: bool = False) -> tuple[Tensor, Tensor]:
        if rgb is None or self.fusion is None:
            return pose, pose_alone(pose)
        return self.fusion(rgb, pose, without_pose)

    def encode_frames(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """What sees only the frames around a step, convolutions included: (B, T / 4, short_dim) and gates (B, T, 2).

        features: as `fuse_frames` takes them. Without lengths all rows are whole; so too in `classify`.
        """
        frames, gates = self.fuse_frames(features)
        short = self.convolution(frames, lengths)
        if self.expert is not None:
            other, _ = self.expert.model.encode_frames(features[..., : self.config.features], lengths)
            short = torch.cat([short, other], dim=-1)
        return short, gates

    def classify(self, short: Tensor, steps: Tensor | None) -> Tensor:
        """What sees the whole window: (B, S, short_dim), steps (B,) -> logits (B, S, 1 + labels)."""
        logits = self._logits(short[..., : self.config.model_dim], steps)
        return logits if self.expert is None else self.expert(logits, short[..., self.config.model_dim :], steps)

    def _logits(self, short: Tensor, steps: Tensor | None) -> Tensor:
        """As `classify`, without the expert."""
        return self.classifier(self.dropout(self.sequence(short, steps)))

    def forward(
        self, features: Tensor, lengths: Tensor, images: Tensor | None = None, without_pose: bool = False
    ) -> Lattice:
        """For training, without the expert. without_pose: use the images alone, to measure them."""
        rgb = None if images is None or self.rgb is None else self.rgb(images, lengths)
        pose = self.pose(features)
        frames, gates = self._fused(rgb, pose, without_pose)
        short = self.convolution(frames, lengths)
        steps = lengths // math.prod(self.convolution.pools)
        streams = {"pose": self.heads["pose"](pose, lengths)} if self.heads else {}
        if self.heads and self.fusion is not None and rgb is not None:
            streams["rgb"] = self.heads["rgb"](self.fusion.rgb(rgb), lengths)
        return Lattice(
            logits=self._logits(short, steps),
            conv_logits=(self.conv_classifier or self.classifier)(short),
            steps=steps,
            gates=gates,
            streams=streams,
            with_images=rgb is not None,
        )
