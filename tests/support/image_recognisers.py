"""A tiny recogniser with an RGB stream that counts, and images for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig, save_checkpoint
from app.pipeline.module3_sequence.model import ModelConfig, RGBConfig, SignModel
from app.pipeline.recogniser import Recogniser
from tests.conftest import GLOSSES


def image_checkpoint(folder: Path, hands: bool = False, backbone: str = "resnet18") -> Path:
    rgb = RGBConfig(backbone, size=32, hands=hands)  # type: ignore[arg-type]
    config = ModelConfig(labels=len(GLOSSES), body_dim=8, hand_dim=8, model_dim=16, layers=1, rgb=rgb)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SignModel(config.without_pretrained())
        assert model.fusion is not None
        torch.nn.init.normal_(model.fusion.ramp, std=0.3)  # as if the images had earned their weight
        torch.nn.init.normal_(model.fusion.gate.weight)
    talkative = DecoderConfig(beam=1, blank_bias=20.0, min_confidence=0.0)
    save_checkpoint(folder, CheckpointConfig(folder.name, "ase", GLOSSES, config, decoder=talkative), model)
    return folder


def image_recogniser(folder: Path, hands: bool = False) -> Recogniser:
    return Recogniser.load(image_checkpoint(folder, hands))


def film(frames: int, seed: int = 0, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Images in which something else is to be seen in every frame: uint8 (frames, height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, height // 8, width // 8, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)
