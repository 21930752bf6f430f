from __future__ import annotations

from pathlib import Path

import pytest

from app.core.settings import Settings, SettingsError
from app.services.recognition.checkpoint_store import check_checkpoint, checkpoint_ids


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("beta", "alpha", ".hidden", "half"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
        if name != "half":
            (tmp_path / name / "model.safetensors").touch()
    return tmp_path


def test_whole_checkpoints_are_listed_by_id(folder: Path) -> None:
    assert checkpoint_ids(folder) == ["alpha", "beta"]
    assert checkpoint_ids(folder / "nowhere") == []


def test_an_unknown_checkpoint_is_refused_with_what_there_is(folder: Path) -> None:
    check_checkpoint(Settings(_env_file=None, checkpoint_dir=folder, checkpoint="alpha"))
    with pytest.raises(SettingsError, match=r"(?s)CHECKPOINT=gamma.*alpha, beta.*CHECKPOINT_DIR"):
        check_checkpoint(Settings(_env_file=None, checkpoint_dir=folder, checkpoint="gamma"))
    with pytest.raises(SettingsError, match="it contains none"):
        check_checkpoint(Settings(_env_file=None, checkpoint_dir=folder / "nowhere", checkpoint="gamma"))
