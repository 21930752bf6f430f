from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import train
from tests.support.signs_corpus import four_steps


def test_what_is_wrong_is_said_before_a_cluster_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray.train", reason="Ray is not installed: requirements-ray.txt", exc_type=ImportError)
    arguments = four_steps(tmp_path)
    assert train([*arguments, "--ray", "127.0.0.1:1", "--set", "optim.epochs=-1"]) == 2
    assert "epochs should be 0 or more" in capsys.readouterr().err
    assert train([*arguments[:2], "--data", "/nowhere", *arguments[4:], "--ray", "127.0.0.1:1"]) == 2
    assert "no corpus in /nowhere" in capsys.readouterr().err
