from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.pipeline.recogniser import Recogniser
from app.training import run_folder
from app.training.corpora.signs import tuning
from tests.support.commands import evaluate, release, train
from tests.support.signs_corpus import write_corpus

CONFIG = """
name: tiny
without: ["FS-*"]
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0}
dev_phrases: 5
optim: {steps: 6, batch_size: 4, save_every: 3, eval_every: 6}
"""


@pytest.fixture
def setup(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "signs").mkdir()
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path / "tiny.yaml", write_corpus(tmp_path / "signs")


def run(config: Path, data: Path, out: Path, *more: str) -> int:
    arguments = ["--config", config, "--data", data, "--out", out, "--workers", "0", "--device", "cpu", *more]
    return train([str(a) for a in arguments])


@pytest.mark.slow
def test_train_release_evaluate_and_read(
    setup: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data = setup
    assert run(config, data, tmp_path / "runs" / "s1") == 0
    log = [json.loads(line) for line in (tmp_path / "runs" / "s1" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 6
    assert "composed" in log[-1]
    monkeypatch.setattr(tuning, "BIASES", (0.0, 1.0))
    monkeypatch.setattr(tuning, "THRESHOLDS", (0.0, 0.5))
    monkeypatch.setattr(tuning, "MIN_SILENT", 0.0)
    out = tmp_path / "checkpoints" / "tiny"
    assert release(["--runs", str(tmp_path / "runs" / "s1"), "--data", str(data), "--out", str(out)]) == 0
    card = (out / "MODEL_CARD.md").read_text()
    assert "--config configs/tiny.yaml --data DATA --out runs/s1" in card
    assert str(tmp_path) not in card
    recogniser = Recogniser.load(out)
    assert recogniser.vocabulary == ("HELLO", "HOW", "NAME", "YES", "YOU")
    capsys.readouterr()
    assert evaluate(["--checkpoint", str(out), "--data", str(data), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 <= figures["core_exact"] <= 1
    assert figures["idle_silent"]["empty"] == 1.0


@pytest.mark.slow
def test_a_student_starts_from_one_run_and_learns_from_others(
    setup: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, data = setup
    for seed in ("1", "2"):
        assert run(config, data, tmp_path / f"s{seed}", "--set", f"optim.seed={seed}") == 0
    student = ["--init", tmp_path / "s1", "--teachers", tmp_path / "s1", tmp_path / "s2"]
    assert run(config, data, tmp_path / "student", *map(str, student)) == 0
    assert "--init runs/s1 --teachers runs/s1 runs/s2" in (tmp_path / "student" / "run.json").read_text()
    assert run(config, data, tmp_path / "x", "--teachers", str(tmp_path / "none")) == 2
    assert "no finished run" in capsys.readouterr().err
    assert run(config, data, tmp_path / "x", "--set", "glosses=['YES']", "--init", str(tmp_path / "s1")) == 2
    assert "other glosses" in capsys.readouterr().err


def test_an_unknown_model_setting_or_gloss_ends_the_run_with_its_name(
    setup: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, data = setup
    assert run(config, data, tmp_path / "out", "--set", "model.wings=2") == 2
    assert "wings" in capsys.readouterr().err
    assert run(config, data, tmp_path / "out", "--set", "glosses=[UNICORN]") == 2
    assert "UNICORN" in capsys.readouterr().err
    assert run(config, tmp_path / "nowhere", tmp_path / "out") == 2
    assert "pass --data" in capsys.readouterr().err


def test_what_training_needs_is_asked_for_before_anything_is_written(
    setup: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "PACKAGES", ("no_such_package",))
    assert run(*setup, tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert "no_such_package" in said
    assert "pip install -r requirements-train.txt" in said
    assert not (tmp_path / "run").exists()


def test_the_commands_of_earlier_model_cards_still_work(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.training.train", "--config", "none.yaml", "--data", ".", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 2, done.stderr
    assert "error: cannot read none.yaml" in done.stderr
