from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from app.pipeline.checkpoint import read_config
from app.pipeline.recogniser import Recogniser
from app.training.loop.checkpoints import CheckpointManager
from app.training.loop.trainer import CSLRTrainer
from tests.support.commands import train
from tests.support.signs_corpus import write_corpus

ROOT = Path(__file__).parents[3]
#: Dropout, so that a resumed run shows whether it draws what the unbroken one drew.
CONFIG = """
name: tiny
without: ["FS-*"]
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.3, layers: 1}
dev_phrases: 2
optim: {steps: 30, batch_size: 4, save_every: 5, eval_every: 10, log_every: 1}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums come out bit for bit alike only with as many threads; put back for other tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "signs").mkdir()
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    data = write_corpus(tmp_path / "signs")
    return f"--config {tmp_path / 'tiny.yaml'} --data {data} --threads 1 --workers 0 --device cpu".split()


def start(arguments: list[str], **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", "train", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def status(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text())


def wait_for_step(process: subprocess.Popen[str], run: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").is_file() or f'"step": {step},' not in (run / "log.jsonl").read_text():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def without_time(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "time"} for line in lines(run)]


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, averages, optimiser, generators and log, bit for bit; dev figures too."""
    from safetensors.torch import load_file

    last = CheckpointManager(one / "checkpoints").latest()
    assert last is not None
    first, second = (load_file(run / "checkpoints" / last.name / "state.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    assert [k for k in first if not torch.equal(first[k], second[k])] == []
    assert without_time(one) == without_time(other)
    assert (one / "final/model.safetensors").read_bytes() == (other / "final/model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_and_ends_the_same(arguments: list[str], tmp_path: Path) -> None:
    assert train([*arguments, "--out", str(tmp_path / "whole")]) == 0
    broken = tmp_path / "broken"
    process = start([*arguments, "--out", str(broken), "--workers", "1"])
    wait_for_step(process, broken, 17)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    saved = CheckpointManager(broken / "checkpoints").latest()
    assert saved is not None
    assert saved.name in ("step-00000015", "step-00000020", "step-00000025")
    assert status(broken)["state"] == "running"
    assert train([*arguments, "--out", str(broken), "--resume"]) == 0
    assert_same_end(tmp_path / "whole", broken)
    assert [line["step"] for line in lines(broken) if "ctc" in line] == list(range(1, 31))
    assert status(broken) | {"updated": ""} == {
        "state": "finished", "step": 30, "steps": 30, "epoch": 5, "epochs": 5, "reason": None, "updated": "",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["optim.optimizer=sgd", "optim.scheduler=plateau", "optim.plateau_patience=1"],
        ["optim.optimizer=adam", "optim.scheduler=cosine", "optim.accumulate=2", "optim.ema=0"],
    ],
)
def test_every_kind_of_run_resumes_exactly(
    arguments: list[str], tmp_path: Path, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*arguments, "--set", "optim.steps=8", "optim.save_every=3", "optim.eval_every=2", *more]
    assert train([*arguments, "--out", str(tmp_path / "whole")]) == 0
    original = CSLRTrainer.train_step

    def dies(self: CSLRTrainer, *args: Any) -> bool:
        if self.step == 5:
            raise MemoryError("no room")
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(CSLRTrainer, "train_step", dies)
        with pytest.raises(MemoryError):
            train([*arguments, "--out", str(tmp_path / "broken")])
    assert status(tmp_path / "broken")["state"] == "failed"
    assert status(tmp_path / "broken")["reason"] == "MemoryError: no room"
    assert train([*arguments, "--out", str(tmp_path / "broken"), "--resume"]) == 0
    assert_same_end(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
def test_a_signal_ends_the_run_after_a_checkpoint(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start([*arguments, "--out", str(run), "--workers", "1", "--set", "optim.steps=100000"])
    wait_for_step(process, run, 3)
    os.killpg(process.pid, signal.SIGTERM)  # as the service does it: the processes that make batches get it too
    assert process.wait(60) == 3, process.stderr and process.stderr.read()
    ended = status(run)
    assert ended["state"] == "stopped"
    assert "--resume continues" in ended["reason"]
    latest = CheckpointManager(run / "checkpoints").latest()
    assert latest is not None
    assert latest.name == f"step-{ended['step']:08d}"
    assert Recogniser.load(run / "final").model_id == "run"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of the run is left


@pytest.mark.slow
def test_a_full_disk_fails_the_run_and_leaves_what_was_saved(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train([*arguments, "--out", str(run), "--set", "optim.steps=5"]) == 0
    before = (run / "checkpoints/step-00000005/state.safetensors").read_bytes()
    limit = len(before) // 2

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start([*arguments, "--out", str(run), "--resume"], preexec_fn=small_disk)
    assert process.wait(120) == 1
    assert status(run)["state"] == "failed"
    assert "File too large" in status(run)["reason"]
    assert (run / "checkpoints/step-00000005/state.safetensors").read_bytes() == before
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best", "step-00000005"}
    assert train([*arguments, "--out", str(run), "--resume"]) == 0


@pytest.mark.slow
def test_a_run_without_progress_on_dev_ends_early(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wers = iter([0.9, 0.5, 0.6, 0.5, 0.7])
    figures = {"substitutions": 1, "deletions": 2, "insertions": 3}
    monkeypatch.setattr(
        "app.training.corpora.signs.source.PhraseSource.evaluate",
        lambda self, model, ranks: {"wer": next(wers), **figures},
    )
    more = ["--set", "optim.patience=2", "optim.eval_every=2", "optim.save_every=100"]
    assert train([*arguments, "--out", str(tmp_path / "run"), *more]) == 0
    assert status(tmp_path / "run")["state"] == "finished"
    assert "2 evaluations" in status(tmp_path / "run")["reason"]
    assert status(tmp_path / "run")["step"] == 8
    best = json.loads((tmp_path / "run/checkpoints/best/state.json").read_text())
    assert (best["step"], best["plateau"]["best"]) == (4, 0.5)
    card = (tmp_path / "run/final/MODEL_CARD.md").read_text()
    assert "WER 50.0% (S 1, D 2, I 3)" in card
    assert "after 4 steps" in card
    assert read_config(tmp_path / "run/final").provenance["wer"] == 0.5


@pytest.mark.slow
def test_epochs_are_passes_over_the_corpus(arguments: list[str], tmp_path: Path) -> None:
    assert train([*arguments, "--out", str(tmp_path / "run"), "--set", "optim.epochs=2", "optim.batch_size=8"]) == 0
    ended = status(tmp_path / "run")
    assert (ended["step"], ended["steps"], ended["epoch"], ended["epochs"]) == (6, 6, 2, 2)  # 24 clips
    report = json.loads((tmp_path / "run/data_report.json").read_text())
    assert report["clips"] == {"train": 24, "dev": 12}
    assert report["signers"] == {"train": 2, "dev": 1}
    assert report["left_out"] == [{"gloss": "FS-A", "clips": 4, "why": "not in this run's glosses"}]
    assert list((tmp_path / "run/tensorboard").glob("events.*"))


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_the_run(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start([*arguments, "--out", str(run), "--set", "optim.learning_rate=1e30", "optim.clip_norm=0"])
    assert process.wait(120) == 1
    assert status(run)["state"] == "failed"
    assert "not finite" in status(run)["reason"]


def test_what_cannot_go_on_is_refused(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"

    def refused(*more: str) -> str:
        before = (run / "status.json").read_bytes()
        assert train([*arguments, "--out", str(run), *more]) == 2
        assert (run / "status.json").read_bytes() == before  # the run that is there still ended as it did
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        return error

    short = ["--set", "optim.steps=1", "optim.eval_every=100"]
    assert train([*arguments, "--out", str(run), *short, "dev_phrases=1"]) == 0
    assert "already contains checkpoints" in refused()
    assert "differs in model_dim" in refused("--resume", "--set", "model.model_dim=24")
    assert "other glosses" in refused("--resume", "--set", "glosses=[HELLO, NAME, HOW-ARE-YOU]", "without=[]")
    assert "optim.optimizer=adamw" in refused("--resume", "--set", "optim.optimizer=sgd")
    assert "fp16 needs CUDA" in refused("--resume", "--set", "optim.amp=fp16")
    assert "GPU 7" in refused("--resume", "--device", "cuda:7")
    assert "--device" in refused("--resume", "--device", "abacus")
    torch.save({}, run / "checkpoints/step-00000001/state.safetensors")
    assert "is a pickle" in refused("--resume")
