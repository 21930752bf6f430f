"""Gated fusion of the two streams: alpha * rgb + beta * pose, starting as pose alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: How much faster the ramp moves than other weights. An optimiser like Adam moves each by about the learning rate a
#: step, and from zero it would take thousands of steps until images have any effect.
_RAMP_GAIN = 5.0
#: Images that weigh less than this cannot replace a dropped pose stream.
_MIN_WEIGHT = 0.05


class GatedFusion(nn.Module):
    """(B, T, rgb_dim), (B, T, model_dim) -> fused (B, T, model_dim) and gates (B, T, 2), columns rgb and pose, 0..1.

    Both streams are projected and layer-normalised, then weighted by per-frame gates computed from both. The RGB
    projection is scaled by a `ramp`, one number a channel, that starts at zero: so at the first step the output is
    exactly the pose stream, and RGB gains weight only by training. In training one stream of a clip is dropped with
    probability `stream_dropout`. The gates are mean weights over channels, and sum to one.
    """

    def __init__(self, rgb_dim: int, model_dim: int, stream_dropout: float) -> None:
        super().__init__()
        self.rgb = nn.Sequential(nn.Linear(rgb_dim, model_dim), nn.LayerNorm(model_dim))
        self.gate = nn.Linear(2 * model_dim, 2)
        self.ramp = nn.Parameter(torch.zeros(model_dim))
        self.stream_dropout = stream_dropout
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def scale(self) -> Tensor:
        """What each channel of the images is multiplied with, (model_dim,) in -1..1; 0 at the start."""
        return torch.tanh(_RAMP_GAIN * self.ramp)

    def forward(self, rgb: Tensor, pose: Tensor, without_pose: bool = False) -> tuple[Tensor, Tensor]:
        """without_pose: the output of RGB alone, for evaluation; the gates are still computed from both streams."""
        rgb = self.rgb(rgb)
        raw = torch.sigmoid(self.gate(torch.cat([rgb, pose], dim=-1)))
        # 2 * sigmoid(0) = 1 for pose; the scale of 0 for RGB: pose-only to begin with.
        alpha = 2 * raw[..., :1] * self.scale()
        beta = 2 * raw[..., 1:]
        if self.training and self.stream_dropout > 0:
            drop = torch.rand(len(pose), 1, 1, device=pose.device)
            keep_rgb = (drop >= self.stream_dropout).to(pose.dtype)
            keep_pose = (drop < 1 - self.stream_dropout).to(pose.dtype)
            # Without the pose stream nothing would be left while RGB still has no weight.
            too_weak = alpha.detach().abs().mean(dim=-1, keepdim=True) < _MIN_WEIGHT
            alpha, beta = alpha * keep_rgb, beta * torch.maximum(keep_pose, too_weak.to(pose.dtype))
        fused = alpha * rgb + (torch.zeros_like(beta) if without_pose else beta) * pose
        weight = torch.cat([alpha.abs().mean(dim=-1, keepdim=True), beta.abs()], dim=-1)
        return fused, weight / weight.sum(dim=-1, keepdim=True).clamp_min(1e-6)


def pose_alone(frames: Tensor) -> Tensor:
    """The weights of rgb and pose (B, T, 2) for frames (B, T, dim) without images: all of it on the pose."""
    gates = frames.new_zeros(*frames.shape[:2], 2)
    gates[..., 1] = 1
    return gates
