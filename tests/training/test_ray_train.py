from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.training.ray_train import main
from tests.training.tiny_corpus import write_corpus

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray cluster of two nodes with one CPU each, on this machine; nothing of it stays."""
    pytest.importorskip("ray.train", reason="Ray is not installed: requirements-ray.txt", exc_type=ImportError)
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    before = set(psutil.Process().children(recursive=True))
    folder = Path(tempfile.mkdtemp(prefix="g"))  # short: the names of its sockets have 107 bytes at most
    (folder / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    cluster = Cluster(shutdown_at_exit=False)
    started: set[psutil.Process] = set()
    try:
        for head in (True, False):
            more = {"include_dashboard": False} if head else {}
            cluster.add_node(num_cpus=1, object_store_memory=80 << 20, **more)
        yield str(cluster.address)
    finally:
        started = set(psutil.Process().children(recursive=True)) - before
        cluster.shutdown()
        _, alive = psutil.wait_procs(started, timeout=20)
        for process in alive:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    assert alive == []


@pytest.mark.slow
def test_two_nodes_train_together(arguments: list[str], two_nodes: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.training.ray_train", *arguments, "--address", two_nodes, "--processes", "2"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=420,  # twenty seconds on an idle machine; Ray starts fifteen processes
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "finished"
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 4]
    assert "wer" in log[-1]
    from safetensors.torch import load_file

    # A generator state of each process: two took part.
    assert len(load_file(tmp_path / "run/checkpoints/step-00000004/state.safetensors")["random"]) == 2


def test_what_is_wrong_is_said_before_a_cluster_is_needed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray.train", reason="Ray is not installed: requirements-ray.txt", exc_type=ImportError)
    assert main([*arguments, "--address", "127.0.0.1:1", "--set", "optim.epochs=-1"]) == 2
    assert "epochs should be 0 or more" in capsys.readouterr().err
    assert main([*arguments[:2], "--data", "/nowhere", *arguments[4:], "--address", "127.0.0.1:1"]) == 2
    assert "no corpus in /nowhere" in capsys.readouterr().err
