from __future__ import annotations

from pathlib import Path

import pytest

from app.training.ray_train import main
from tests.training.tiny_corpus import write_corpus

CONFIG = """
name: tiny
without: ["FS-*"]
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0, layers: 1}
dev_phrases: 2
optim: {steps: 4, batch_size: 4, save_every: 2, eval_every: 4, log_every: 1}
"""


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "signs").mkdir()
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    data = write_corpus(tmp_path / "signs")
    return f"--config {tmp_path / 'tiny.yaml'} --data {data} --out {tmp_path / 'run'} --workers 0 --device cpu".split()


def test_what_is_wrong_is_said_before_a_cluster_is_needed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray.train", reason="Ray is not installed: requirements-ray.txt", exc_type=ImportError)
    assert main([*arguments, "--address", "127.0.0.1:1", "--set", "optim.epochs=-1"]) == 2
    assert "epochs should be 0 or more" in capsys.readouterr().err
    assert main([*arguments[:2], "--data", "/nowhere", *arguments[4:], "--address", "127.0.0.1:1"]) == 2
    assert "no corpus in /nowhere" in capsys.readouterr().err
