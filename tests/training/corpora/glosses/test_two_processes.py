"""The large vocabulary trained by two processes: the same batches, losses and weights as by one; stopped together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.training.corpora.glosses.batches import IndexBatch, PhraseGroups
from app.training.corpora.glosses.compose import Composer
from app.training.corpora.glosses.device import DeviceBank, disturb, features
from app.training.corpora.glosses.objective import loss
from app.training.corpora.glosses.pack import pack
from app.training.corpora.glosses.settings import Settings, changed
from app.training.corpora.glosses.strokes import find_strokes
from app.training.corpora.glosses.train import Run
from app.training.errors import ConfigError
from app.training.loop.distributed import ALONE, Ranks, joined
from app.training.loop.signals import StopRequest
from tests.support.glosses_corpus import GLOSSES, small_bank
from tests.support.two_processes import run_two

ROOT = Path(__file__).parents[4]
#: Without dropout, which each process draws for itself; with all else that is drawn.
EXACT = changed(
    Settings(),
    [
        *("steps=6", "batch_size=6", "workers=0", "save_every=0", "warm_up=2", "average=0.5", "learning_rate=1e-3"),
        *("model.model_dim=16", "model.hand_dim=8", "model.body_dim=8", "model.hidden=8", "model.dropout=0"),
        *("recipe.nothing=0.3", "objective.masked=0.5", "objective.framewise=0.1"),
    ],
)
#: With a batch norm to be shared. Gradients before it are 0 but for rounding, which Adam makes whole steps of.
BATCH_NORM = changed(EXACT, ["model.norm=batch"])
DROPOUT = changed(EXACT, ["model.dropout=0.3"])


class StopAt(StopRequest):
    """Asks one process to stop at a step; another is not asked at all."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self.looks -= 1
        return self.looks < 0


def gradients(run: Run) -> dict[str, torch.Tensor]:
    """Of the first step."""
    run.train_step(next(run.batches()), torch.Generator())
    return {name: p.grad.clone() for name, p in run.model.named_parameters() if p.grad is not None}


def as_rank(rank: int, port: int, out: Path) -> None:
    """What each of two processes does."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    bank = small_bank()
    with joined("cpu") as ranks:
        save_file(gradients(Run(bank, [BATCH_NORM], out / "first", ranks)), out / f"grad{rank}.safetensors")
        run = Run(bank, [EXACT], out / "exact", ranks)
        assert run.run() is None
        save_file(run.model.state_dict(), out / f"exact{rank}.safetensors")

        whole = Run(bank, [DROPOUT, DROPOUT], out / "whole", ranks)
        assert whole.run() is None
        broken = Run(bank, [DROPOUT, DROPOUT], out / "broken", ranks)
        assert broken.run(StopAt(8) if rank else None) == "signal"
        resumed = Run(bank, [DROPOUT, DROPOUT], out / "broken", ranks)
        assert resumed.resume()
        assert (resumed.stage, resumed.step) == (1, 7)
        assert resumed.run() is None
        for name, value in whole.average.state.items():
            assert torch.equal(resumed.average.state[name], value), name

        # The first process' clock is that of all: the other's stands still, and it would never end.
        timed = Run(bank, [replace(EXACT, steps=100_000, seconds=0.5)], out / "timed", ranks)
        if rank:
            time.monotonic = lambda: 0.0
        assert timed.run() is None
        (out / f"timed{rank}.json").write_text(json.dumps([timed.step, timed.spent]))
    os._exit(0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes wrote to."""
    out = tmp_path_factory.mktemp("pair")
    run_two(as_rank, out)
    return out


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_one(pair: Path, tmp_path: Path) -> None:
    alone = gradients(Run(small_bank(), [BATCH_NORM], tmp_path))
    assert len(alone) > 20
    for rank in range(2):
        shared = load_file(pair / f"grad{rank}.safetensors")
        assert shared.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(shared[name], value, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.slow
def test_two_processes_end_with_the_weights_and_losses_of_one(pair: Path, tmp_path: Path) -> None:
    alone = Run(small_bank(), [EXACT], tmp_path)
    assert alone.run() is None
    states = [load_file(pair / f"exact{rank}.safetensors") for rank in range(2)]
    for name, value in alone.model.state_dict().items():
        assert torch.equal(states[0][name], states[1][name]), name
        torch.testing.assert_close(states[0][name], value, rtol=1e-3, atol=2e-4, msg=name)
    logs = [(folder / "log.jsonl").read_text().splitlines() for folder in (tmp_path, pair / "exact")]
    one, two = ([json.loads(line) for line in log] for log in logs)
    assert [row["step"] for row in one] == [row["step"] for row in two] == [1, 6]
    for row, other in zip(one, two, strict=True):
        for name in ("ctc", "aux", "stretch", "inside", "framewise", "right", "frames"):
            assert row[name] == pytest.approx(other[name], rel=1e-3, abs=2e-4), name


@pytest.mark.slow
def test_the_first_process_clock_ends_the_run_for_all(pair: Path) -> None:
    steps, seconds = zip(*(json.loads((pair / f"timed{rank}.json").read_text()) for rank in range(2)), strict=True)
    assert steps[0] == steps[1] > 0
    assert seconds[0] == seconds[1] > 0.5


def batch(rank: int, world: int) -> IndexBatch:
    bank = small_bank()
    composer = Composer(bank, find_strokes(bank), bank.of(split="train"), GLOSSES, EXACT.recipe)
    return PhraseGroups(composer, 6, 1, 1, rank, world)[0][2]


def test_shares_of_a_batch_are_its_rows() -> None:
    whole = batch(0, 1)
    found = 0
    for rank in range(2):
        share = batch(rank, 2)
        for name in ("first", "weight", "lengths", "targets", "target_lengths", "strength"):
            assert torch.equal(getattr(share, name), getattr(whole, name)[rank::2]), name
        assert torch.equal(share.rows, torch.arange(rank, 6, 2))
        assert torch.equal(share.all_spans, whole.spans)
        assert torch.equal(share.spans[:, 1:], whole.spans[share.places][:, 1:])
        assert torch.equal(share.rows[share.spans[:, 0]], whole.spans[share.places][:, 0])
        found += len(share.spans)
    assert found == len(whole.spans)


def test_a_phrase_is_disturbed_alike_in_every_share() -> None:
    def disturbed(share: IndexBatch) -> tuple[torch.Tensor, torch.Tensor]:
        frames = DeviceBank(small_bank(), torch.device("cpu")).gather(share)
        generator = torch.Generator().manual_seed(4)
        return disturb(*frames, EXACT.disturbance, generator, share.strength, share.rows, share.parts)

    whole = disturbed(batch(0, 1))
    for rank in range(2):
        for part, all_rows in zip(disturbed(batch(rank, 2)), whole, strict=True):
            np.testing.assert_allclose(part, all_rows[rank::2], atol=1e-5)


def test_the_mean_of_the_shares_losses_is_that_of_the_whole(tmp_path: Path) -> None:
    """Each part of it, though the shares have different numbers of signs, and stretches and vocabularies are drawn."""
    run = Run(small_bank(), [EXACT], tmp_path)

    def parts(share: IndexBatch) -> dict[str, float]:
        x = features(*run.frames.gather(share))
        total, found = loss(
            run.net, x, share, EXACT.objective, torch.float32, generator=torch.Generator().manual_seed(2)
        )
        return {"total": float(total), **{name: float(value) for name, value in found.items()}}

    whole, shares = parts(batch(0, 1)), [batch(rank, 2) for rank in range(2)]
    assert len(shares[0].spans) != len(shares[1].spans)
    one, two = map(parts, shares)
    assert whole.keys() == one.keys() == two.keys()
    for name, value in whole.items():
        assert (one[name] + two[name]) / 2 == pytest.approx(value, rel=1e-4), name


def test_an_uneven_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be shared evenly by 4 processes; use a multiple of 4"):
        Run(small_bank(), [EXACT], tmp_path, Ranks(0, 4, ALONE.device))


CONFIG = """
kind: glosses
workers: 1
save_every: 10
batch_size: 4
model: {model_dim: 16, hand_dim: 8, body_dim: 8, hidden: 8}
stages: {first: {steps: 4}, second: {steps: 100000}}
"""


@pytest.mark.slow
def test_torchrun_starts_it_and_sigterm_stops_it_with_a_checkpoint(tmp_path: Path) -> None:
    pack(small_bank(), tmp_path / "bank.xz")
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    out = tmp_path / "run"
    arguments = ["-m", "app", "train", "--config", str(tmp_path / "tiny.yaml"), "--data", str(tmp_path / "bank.xz")]
    arguments += ["--out", str(out), "--device", "cpu", "--threads", "1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            until = time.monotonic() + 200
            while not (out / "checkpoints/step-00000014").is_dir():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(100) != 0  # torchrun's own, whatever the status of the processes
        finally:
            process.kill()
    status = json.loads((out / "status.json").read_text())
    assert (status["state"], status["steps"]) == ("stopped", 100_004)
    assert status["step"] >= 14
    assert (out / f"checkpoints/step-{status['step']:08d}").is_dir()

    more = ["--resume", "--set", f"stages.second.steps={status['step'] + 2}"]
    done = subprocess.run(
        [sys.executable, *arguments, *more], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "status.json").read_text())["step"] == status["step"] + 6
    assert (out / "final/model.safetensors").is_file()
