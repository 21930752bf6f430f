"""A tiny untrained recogniser, and made-up landmarks for it: smooth, plausible, of no real person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig, save_checkpoint
from app.pipeline.keypoints import (
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_HAND,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    Keypoints,
)
from app.pipeline.module3_sequence.model import ModelConfig, SignModel

VOCABULARY = ("HELLO", "NAME", "YOU")


def performance(frames: int = 40, seed: int = 0) -> NDArray[np.float32]:
    """A body with two moving hands in picture coordinates (4:3): float32 (frames, 75, 3), everything present."""
    rng = np.random.default_rng(seed)
    points = np.ones((frames, 75, 3), np.float32)
    body = rng.uniform(0.35, 0.65, (33, 2))
    places = {NOSE: (0.5, 0.3), LEFT_SHOULDER: (0.64, 0.55), RIGHT_SHOULDER: (0.36, 0.55)}
    places |= {LEFT_ELBOW: (0.7, 0.8), RIGHT_ELBOW: (0.3, 0.8)}
    for index, place in places.items():
        body[index] = place
    points[:, :33, :2] = body
    t = np.arange(frames)[:, None] / 25
    for where, wrist, side in ((LEFT_HAND, LEFT_WRIST, 1), (RIGHT_HAND, RIGHT_WRIST, -1)):
        phase = rng.uniform(0, 6, 2)
        path = np.array([0.5 + side * 0.15, 0.6]) + 0.1 * np.sin(2 * np.pi * 0.7 * t + phase)
        points[:, wrist, :2] = path
        hand = np.concatenate([np.zeros((1, 2)), rng.normal(0, 0.03, (20, 2))])
        points[:, where, :2] = path[:, None] + hand
    points[:, :33, :2] += rng.normal(0, 0.001, (frames, 33, 2))
    return points


def varied(frames: int, seed: int = 0) -> Keypoints:
    """A clip at 25 fps that does something else every second."""
    parts = [performance(25, seed * 100 + i) for i in range(-(-frames // 25))]
    return Keypoints.at_rate(np.concatenate(parts)[:frames], 25)


def tiny_checkpoint(folder: Path, **decoder: float) -> Path:
    """An untrained network that says a lot: what it says does not matter, only that it is the same everywhere."""
    torch.manual_seed(4)
    model_config = ModelConfig(labels=3, body_dim=8, hand_dim=8, model_dim=16, cosine_scale=60.0)
    config = CheckpointConfig("tiny", "ase", VOCABULARY, model_config, decoder=DecoderConfig(**decoder))  # type: ignore[arg-type]
    save_checkpoint(folder, config, SignModel(model_config))
    return folder
