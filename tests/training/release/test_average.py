from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from app.pipeline.checkpoint import CheckpointConfig, read_config, save_checkpoint
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.training.release.final import load_run
from tests.support.commands import average


def write_run(folder: Path, value: float, width: int = 16, commands: tuple[str, ...] = ("train",)) -> Path:
    config = ModelConfig(labels=3, body_dim=8, hand_dim=8, model_dim=width, layers=1)
    model = SignModel(config)
    model.load_state_dict({k: torch.full_like(v, value) for k, v in model.state_dict().items()})
    settings = CheckpointConfig(
        folder.name, "ase", ("A", "B", "C"), config, provenance={"seed": 1, "step": 9, "wer": 0.5}
    )
    save_checkpoint(folder / "final", settings, model)
    run = {"vocabulary": ["A", "B", "C"], "model": config.to_dict(), "seed": 1, "clips": 9, "commands": commands}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def mean_of(*folders: Path, out: Path) -> int:
    return average(["--runs", *map(str, folders), "--out", str(out)])


def test_the_mean_is_a_run_that_names_all_commands_once(tmp_path: Path) -> None:
    first = write_run(tmp_path / "s1", 1.0, commands=("train s1",))
    second = write_run(tmp_path / "s1-fast", 2.0, commands=("train s1", "train s1-fast"))
    assert mean_of(first, second, out=tmp_path / "s1-mean") == 0
    run, model = load_run(tmp_path / "s1-mean")
    assert all(bool((p == 1.5).all()) for p in model.parameters())
    assert run["commands"] == [
        "train s1",
        "train s1-fast",
        "python -m app average --runs runs/s1 runs/s1-fast --out runs/s1-mean",
    ]
    config = read_config(tmp_path / "s1-mean" / "final")
    assert (config.model_id, config.provenance) == ("s1-mean", {"seed": 1, "train_commands": run["commands"]})


def test_what_does_not_belong_together_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other = write_run(tmp_path / "a", 1.0), write_run(tmp_path / "b", 1.0, width=24)
    assert mean_of(first, other, out=tmp_path / "c") == 2
    assert "another network" in capsys.readouterr().err
    assert mean_of(first, tmp_path / "none", out=tmp_path / "c") == 2
    assert "no finished run" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
