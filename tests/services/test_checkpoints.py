from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.core.settings import Settings, SettingsError
from app.pipeline.checkpoint import is_pickle
from app.services.checkpoints import check_checkpoint, checkpoint_ids


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
    with pytest.raises(SettingsError, match="there is none in it"):
        check_checkpoint(Settings(_env_file=None, checkpoint_dir=folder / "nowhere", checkpoint="gamma"))


def test_weights_whose_header_is_as_long_as_a_pickle_begins_are_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    seen = set()
    for length in range(0, 512, 8):
        save_file({"weight": torch.zeros(2)}, path, {"text": "x" * length})
        seen.add(path.read_bytes()[:1])
        assert not is_pickle(path)
    assert b"\x80" in seen


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_one_whatever_its_name(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1]}, protocol))
    assert is_pickle(path)
    torch.save({"weights": [1]}, path)
    assert is_pickle(path)
