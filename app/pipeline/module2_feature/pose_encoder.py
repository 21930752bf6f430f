"""Pose stream: one small encoder per group of landmarks, the two hands sharing one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from app.pipeline.module1_preprocessing.normalise import (
    BODY_DIM,
    BODY_FEATURES,
    HAND_DIM,
    LEFT_FEATURES,
    RIGHT_FEATURES,
)


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, outputs))


class PoseEncoder(nn.Module):
    """Features of `normalise` -> one vector a frame: float (B, T, NUM_FEATURES) -> (B, T, model_dim).

    Both hands go through the same weights (the left one arrives mirrored), so a hand shape seen on one hand is known
    on the other. A missing hand is a learned vector, not a position.
    """

    def __init__(self, body_dim: int, hand_dim: int, model_dim: int) -> None:
        super().__init__()
        self.body = _mlp(BODY_DIM, 2 * body_dim, body_dim)
        self.hand = _mlp(HAND_DIM, 2 * hand_dim, hand_dim)
        self.no_hand = nn.Parameter(torch.zeros(hand_dim))
        self.join = nn.Linear(body_dim + 2 * hand_dim, model_dim)
        self.norm = nn.LayerNorm(model_dim)

    def forward(self, features: Tensor) -> Tensor:
        hands = []
        for where in (LEFT_FEATURES, RIGHT_FEATURES):
            hand = features[..., where]
            hands.append(torch.where(hand[..., :1] > 0.5, self.hand(hand), self.no_hand))
        return self.norm(self.join(torch.cat([self.body(features[..., BODY_FEATURES]), *hands], dim=-1)))


class FlatPoseEncoder(nn.Module):
    """One linear layer over all features: what the per-group encoder is measured against in the ablation."""

    def __init__(self, model_dim: int) -> None:
        super().__init__()
        self.join = nn.Linear(BODY_DIM + 2 * HAND_DIM, model_dim)
        self.norm = nn.LayerNorm(model_dim)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(self.join(features))
