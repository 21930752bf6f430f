"""What tests of several parts share: a tiny real recogniser, settings for it, the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from app.core.settings import Settings

# A test never fails because the machine is busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

GLOSSES = ("HELLO", "THANK-YOU", "YOU", "NAME", "WHAT")


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The corpora and clips that live beside the repository; the test skips where they are missing."""
    folder = Path(os.environ.get("GLOSSLINE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is missing (set GLOSSLINE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint 'tiny': the real network, small and untrained, with a vocabulary of five."""
    import torch

    from app.pipeline.checkpoint import CheckpointConfig, save_checkpoint
    from app.pipeline.module3_sequence.model import ModelConfig, SignModel

    folder = tmp_path_factory.mktemp("checkpoints")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ModelConfig(labels=len(GLOSSES), body_dim=8, hand_dim=8, model_dim=16, layers=1)
        save_checkpoint(folder / "tiny", CheckpointConfig("tiny", "ase", GLOSSES, model), SignModel(model))
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_checkpoints: Path) -> Settings:
    """Settings of a service with the tiny recogniser on the CPU; no .env of the developer leaks in."""
    return Settings(
        _env_file=None,
        checkpoint="tiny",
        checkpoint_dir=tiny_checkpoints,
        device="cpu",
        extractor_workers=2,
        max_upload_mb=8,
        max_duration_s=20,
        max_concurrent_requests=8,
        connects_per_address=100_000,
    )
