"""What computes the network's two halves: PyTorch with the weights, or graphs exported from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from app.pipeline.module2_feature.fusion import pose_alone
from app.pipeline.module3_sequence.model import RGBConfig, SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR

#: One half for rows of one length: (B, T, ...) -> (B, S, ...).
Half = Callable[[Tensor], Tensor]


class Backend(Protocol):
    """Both take float32 rows padded to the longest, and how much of each row counts; what lies past it is ignored."""

    rgb: RGBConfig | None
    """The crops that `encode_images` takes; None: this backend reads landmarks alone."""
    amp: bool
    """Whether it computes in bfloat16."""

    def encode_images(self, crops: Tensor) -> Tensor:
        """What the RGB encoder makes of each frame's crops: uint8 (N, 3 * views, S, S) -> (N, rgb_dim)."""

    def encode_frames(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(B, T, NUM_FEATURES), lengths in frames, multiples of 4 -> (B, T / 4, short_dim) and gates (B, T, 2). With
        `rgb`, rows of `encode_images` stand behind the features, NaN where a frame has no image."""

    def classify(self, short: Tensor, steps: Sequence[int]) -> Tensor:
        """(B, S, short_dim), lengths in steps -> logits (B, S, 1 + labels)."""


class TorchBackend:
    """The network itself; `amp` computes in bfloat16 on CUDA."""

    def __init__(self, model: SignModel, device: str = "cpu", amp: bool = False) -> None:
        self.model = model.eval()
        self.device = device
        self.amp = amp and device.startswith("cuda")
        rgb = model.config.rgb
        self.rgb = rgb if rgb is not None and rgb.backbone != "s3d" else None  # S3D sees whole clips, not frames

    def encode_images(self, crops: Tensor) -> Tensor:
        with self._autocast():
            return self.model.encode_images(crops.to(self.device))

    def encode_frames(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        with self._autocast():
            return self.model.encode_frames(features.to(self.device), torch.tensor(lengths, device=self.device))

    def classify(self, short: Tensor, steps: Sequence[int]) -> Tensor:
        with self._autocast():
            return self.model.classify(short.to(self.device), torch.tensor(steps, device=self.device))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16, enabled=self.amp)


class GraphBackend:
    """Exported halves, pose stream only. They take no lengths: rows of equal length run together, others separately, so
    that each row gives exactly the output it would give alone."""

    rgb: RGBConfig | None = None
    amp = False

    def __init__(self, encode_frames: Half, classify: Half) -> None:
        self._encode_frames = encode_frames
        self._classify = classify

    def encode_images(self, crops: Tensor) -> Tensor:
        raise NotImplementedError("an exported model reads landmarks only")

    def encode_frames(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        return _by_length(self._encode_frames, features, lengths, TIME_DIVISOR), pose_alone(features)

    def classify(self, short: Tensor, steps: Sequence[int]) -> Tensor:
        return _by_length(self._classify, short, steps, 1)


def _by_length(half: Half, rows: Tensor, lengths: Sequence[int], divisor: int) -> Tensor:
    """Rows through `half` in groups of one length, side by side again with zeros past their lengths."""
    groups = {n: [row for row, length in enumerate(lengths) if length == n] for n in sorted(set(lengths))}
    done = {n: half(rows[where, :n].contiguous()) for n, where in groups.items()}
    if done.keys() == {rows.shape[1]}:
        return done[rows.shape[1]]
    out = torch.zeros(len(rows), rows.shape[1] // divisor, next(iter(done.values())).shape[-1])
    for n, where in groups.items():
        out[where, : n // divisor] = done[n]
    return out
