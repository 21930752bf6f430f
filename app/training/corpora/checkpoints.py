"""Checkpoints of training runs, whatever their networks read: landmarks, or what a corpus has instead."""

from __future__ import annotations

from pathlib import Path

from app.pipeline.checkpoint import CheckpointConfig, load_checkpoint, read_config, read_values
from app.pipeline.module3_sequence.model import SignModel
from app.training.corpora.boston104.checkpoint import TracksCheckpoint, load_network
from app.training.corpora.boston104.features import TRACKS


def reads_tracks(folder: Path) -> bool:
    """Does the checkpoint read the tracks of BOSTON-104? Raises CheckpointError when there is none."""
    return read_values(folder).get("keypoints") == TRACKS


def read_any_config(folder: Path) -> CheckpointConfig:
    """The config. Raises CheckpointError as `read_config` does."""
    return TracksCheckpoint.from_dict(read_values(folder)) if reads_tracks(folder) else read_config(folder)


def load_any(folder: Path) -> tuple[CheckpointConfig, SignModel]:
    """Config and model in eval mode, on the CPU. Raises CheckpointError."""
    return load_network(folder) if reads_tracks(folder) else load_checkpoint(folder)
