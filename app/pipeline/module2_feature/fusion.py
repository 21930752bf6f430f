"""Gated fusion of the two streams: alpha * rgb + beta * pose, starting as pose alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedFusion(nn.Module):
    """(B, T, rgb_dim), (B, T, model_dim) -> fused (B, T, model_dim) and gates (B, T, 2), columns rgb and pose, 0..1.

    Both streams are projected and layer-normalised, then weighted by per-frame gates computed from both. The RGB
    projection is scaled by a `ramp` that starts at zero, so at the first step the output is the pose stream exactly
    and RGB has to earn its weight. In training one stream of a clip is dropped with probability `stream_dropout`.
    """

    def __init__(self, rgb_dim: int, model_dim: int, stream_dropout: float) -> None:
        super().__init__()
        self.rgb = nn.Sequential(nn.Linear(rgb_dim, model_dim), nn.LayerNorm(model_dim))
        self.gate = nn.Linear(2 * model_dim, 2)
        self.ramp = nn.Parameter(torch.zeros(()))
        self.stream_dropout = stream_dropout
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, rgb: Tensor, pose: Tensor, without_pose: bool = False) -> tuple[Tensor, Tensor]:
        """without_pose: what RGB says alone, for measuring it; the gates stay what both streams make of them."""
        rgb = self.rgb(rgb)
        raw = torch.sigmoid(self.gate(torch.cat([rgb, pose], dim=-1)))
        # 2 * sigmoid(0) = 1 for pose; tanh(ramp) = 0 for RGB: pose-only to begin with.
        alpha = 2 * raw[..., :1] * torch.tanh(self.ramp)
        beta = 2 * raw[..., 1:]
        if self.training and self.stream_dropout > 0:
            drop = torch.rand(len(pose), 1, 1, device=pose.device)
            keep_rgb = (drop >= self.stream_dropout).to(pose.dtype)
            keep_pose = (drop < 1 - self.stream_dropout).to(pose.dtype)
            # A dropped pose stream would leave nothing while RGB still weighs nothing.
            keep_pose = torch.maximum(keep_pose, (alpha.detach().abs() < 0.05).to(pose.dtype))
            alpha, beta = alpha * keep_rgb, beta * keep_pose
        if without_pose:
            beta = torch.zeros_like(beta)
        fused = alpha * rgb + beta * pose
        weight = torch.cat([alpha.abs(), beta.abs()], dim=-1)
        return fused, weight / weight.sum(dim=-1, keepdim=True).clamp_min(1e-6)
