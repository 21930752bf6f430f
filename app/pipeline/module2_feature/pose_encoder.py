"""Pose stream: one small encoder per group of landmarks, the two hands sharing one."""

from __future__ import annotations

from typing import Literal

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

    body: "all" reads every feature. "head" reads of the body only where nose, ears and mouth are, and how the hands lie
    to each other and to the mouth: for corpora whose bodies keep still, in which shoulders, elbows, the pose's wrists
    and the movements of the head say nothing, or say only which corpus a clip is from.
    """

    def __init__(self, body_dim: int, hand_dim: int, model_dim: int, body: Literal["all", "head"] = "all") -> None:
        super().__init__()
        self.whole_body = body == "all"
        self.body = _mlp(BODY_DIM if self.whole_body else HEAD_DIM, 2 * body_dim, body_dim)
        self.hand = _mlp(HAND_DIM if self.whole_body else HAND_DIM + 2, 2 * hand_dim, hand_dim)
        self.no_hand = nn.Parameter(torch.zeros(hand_dim))
        self.join = nn.Linear(body_dim + 2 * hand_dim, model_dim)
        self.norm = nn.LayerNorm(model_dim)

    def forward(self, features: Tensor) -> Tensor:
        body = features[..., BODY_FEATURES]
        left, right = features[..., LEFT_FEATURES], features[..., RIGHT_FEATURES]
        if not self.whole_body:
            body, left, right = head_and_hands(body, left, right)
        hands = [torch.where(hand[..., :1] > 0.5, self.hand(hand), self.no_hand) for hand in (left, right)]
        return self.norm(self.join(torch.cat([self.body(body), *hands], dim=-1)))


#: Columns of the body group and of a hand group that `head_and_hands` reads, the presence flag being column 0.
_HEAD = slice(1, 7)  # nose, left ear, right ear
_MOUTH = slice(19, 21)
_WRIST = slice(1, 3)
_INDEX_TIP = slice(46, 48)  # relative to the nose
#: Presence, head, mouth, left wrist from the right one, both hands there?
HEAD_DIM = 1 + 6 + 2 + 2 + 1


def head_and_hands(body: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The groups of `normalise` as (..., HEAD_DIM), (..., HAND_DIM + 2) and (..., HAND_DIM + 2).

    Behind each hand stands its index finger's tip relative to the mouth, mirrored for the left as everything in it; 0
    where the hand is missing.
    """
    both = left[..., :1] * right[..., :1]
    between = (_mirrored(left[..., _WRIST]) - right[..., _WRIST]) * both
    from_mouth = body[..., 1:3] - body[..., _MOUTH]
    return (
        torch.cat([body[..., :1], body[..., _HEAD], body[..., _MOUTH], between, both], dim=-1),
        torch.cat([left, (left[..., _INDEX_TIP] + _mirrored(from_mouth)) * left[..., :1]], dim=-1),
        torch.cat([right, (right[..., _INDEX_TIP] + from_mouth) * right[..., :1]], dim=-1),
    )


def _mirrored(xy: Tensor) -> Tensor:
    return torch.cat([-xy[..., :1], xy[..., 1:]], dim=-1)


class FlatPoseEncoder(nn.Module):
    """One linear layer over all features: what the per-group encoder is measured against in the ablation."""

    def __init__(self, model_dim: int) -> None:
        super().__init__()
        self.join = nn.Linear(BODY_DIM + 2 * HAND_DIM, model_dim)
        self.norm = nn.LayerNorm(model_dim)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(self.join(features))
