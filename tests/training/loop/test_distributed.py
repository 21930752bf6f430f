"""Two processes on the CPU against one: the same batches, gradients and figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from app.pipeline.module3_sequence.model import SignModel
from app.training.config import TrainConfig, load_config
from app.training.corpora.opening import open_source
from app.training.corpora.signs.source import PhraseBatches
from app.training.errors import ConfigError
from app.training.loop.batch_norm import SharedBatchNorm, share_batch_norm
from app.training.loop.distributed import ALONE, Ranks, joined, sum_over_ranks
from app.training.loop.trainer import CSLRTrainer
from app.training.run_folder import RunFiles
from tests.support.commands import train
from tests.support.signs_corpus import write_corpus
from tests.support.two_processes import run_two

ROOT = Path(__file__).parents[3]
CONFIG = """
name: tiny
without: ["FS-*"]
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0, layers: 1}
loss: {distill: 1.0, label_smoothing: 0.1}
dev_phrases: 2
optim: {steps: 8, batch_size: 4, save_every: 4, eval_every: 4, log_every: 1}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("two")
    (folder / "signs").mkdir()
    (folder / "tiny.yaml").write_text(CONFIG)
    return folder / "tiny.yaml", write_corpus(folder / "signs")


def arguments(corpus: tuple[Path, Path], out: Path) -> list[str]:
    # SGD: Adam divides by the size of the gradient, so it would hide a wrong average over the processes, and turns
    # gradients that are only rounding errors, which differ between processors, into whole steps.
    run = f"--config {corpus[0]} --data {corpus[1]} --out {out} --workers 0 --device cpu --threads 1"
    return [*run.split(), "--set", "optim.optimizer=sgd"]


def fixed_model(config: TrainConfig, labels: int) -> SignModel:
    torch.manual_seed(5)
    model = SignModel(config.model_config(labels)).eval()
    # An untrained network says nothing but one label; these weights say many.
    nn.init.normal_(model.classifier.weight, std=3.0)
    return model


def normalised(norm: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """Output, gradient of the input and running statistics after two training steps."""
    for _ in range(2):
        x = x.detach().requires_grad_()
        y = norm.train()(x)
        (y * weights).square().sum().backward()
    assert x.grad is not None
    return {"y": y.detach(), "grad": x.grad, **{k: v.clone() for k, v in norm.state_dict().items()}}


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 4, 5, generator=generator) * 3 + 2, torch.randn(6, 4, 5, generator=generator)


def as_rank(rank: int, port: int, corpus: tuple[Path, Path], out: Path) -> None:
    """What each of two processes does: parts of the trainer, then a whole run."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with joined("cpu") as ranks:
        assert (ranks.rank, ranks.world, ranks.main) == (rank, 2, rank == 0)
        assert sum_over_ranks([rank, 10.5]) == [1, 21]
        holder = nn.Sequential(nn.BatchNorm1d(4))
        share_batch_norm(holder, ranks.device)
        x, weights = example()
        rows = slice(0, 2) if rank == 0 else slice(2, 6)  # unequal shares
        save_file(normalised(holder[0], x[rows], weights[rows]), out / f"norm{rank}.safetensors")
        config = load_config(corpus[0])
        source = open_source(corpus[1], config)
        figures = source.evaluate(fixed_model(config, len(source.vocabulary)), ranks)
        (out / f"figures{rank}.json").write_text(json.dumps(figures))
    os._exit(train(arguments(corpus, out / "run")))


@pytest.fixture(scope="module")
def pair(corpus: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes wrote to."""
    out = tmp_path_factory.mktemp("pair")
    run_two(as_rank, corpus, out)
    return out


@pytest.mark.slow
def test_two_processes_follow_the_loss_curve_of_one(corpus: tuple[Path, Path], pair: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        assert train(arguments(corpus, tmp_path / "one")) == 0
    finally:
        torch.set_num_threads(before)
    one, two = (
        [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        for run in (tmp_path / "one", pair / "run")
    )
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("loss", "ctc", "aux", "kl", "lr"):
        values = [[line[name] for line in log if name in line] for log in (one, two)]
        assert len(values[0]) == 8
        assert values[0] == pytest.approx(values[1], rel=2e-4, abs=2e-5), name
    one_dev, two_dev = ([line for line in log if "wer" in line] for log in (one, two))
    assert [line["wer"] for line in one_dev] == [line["wer"] for line in two_dev]
    saved = load_file(pair / "run/checkpoints/step-00000008/state.safetensors")
    assert saved["random"].shape[0] == 2
    assert not torch.equal(*saved["random"])


@pytest.mark.slow
def test_figures_of_a_fixed_model_do_not_depend_on_the_number_of_processes(
    corpus: tuple[Path, Path], pair: Path
) -> None:
    config = load_config(corpus[0])
    source = open_source(corpus[1], config)
    alone = json.loads(json.dumps(source.evaluate(fixed_model(config, len(source.vocabulary)), ALONE)))
    assert alone["substitutions"] > 0
    assert alone["insertions"] + alone["deletions"] > 0
    for rank in range(2):
        shared = json.loads((pair / f"figures{rank}.json").read_text())
        assert json.dumps(shared) == json.dumps(alone)


@pytest.mark.slow
def test_batch_normalisation_over_two_processes_is_that_of_the_whole_batch(pair: Path) -> None:
    x, weights = example()
    whole = normalised(nn.BatchNorm1d(4), x, weights)
    parts = [load_file(pair / f"norm{rank}.safetensors") for rank in range(2)]
    for name in ("y", "grad"):
        torch.testing.assert_close(torch.cat([p[name] for p in parts]), whole[name], rtol=1e-4, atol=1e-5)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            torch.testing.assert_close(part[name], whole[name])
    assert parts[0].keys() == whole.keys()  # names in a checkpoint stay


def test_every_kind_of_batch_normalisation_is_shared_with_its_weights() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)), nn.Flatten(), nn.BatchNorm1d(4))
    nn.init.constant_(model[3].weight, 7.0)
    model.eval()
    x = torch.randn(2, 3, 1, 1)
    before = model(x)
    share_batch_norm(model, torch.device("cpu"))
    assert isinstance(model[1][0], SharedBatchNorm)
    assert isinstance(model[3], SharedBatchNorm)
    torch.testing.assert_close(model(x), before)


def test_shares_of_a_batch_are_its_rows(corpus: tuple[Path, Path]) -> None:
    config = load_config(corpus[0])
    source = open_source(corpus[1], config)

    def batch(rank: int, world: int) -> Any:
        batches = source.batches(config.optim, Ranks(rank, world, torch.device("cpu")))
        assert isinstance(batches, PhraseBatches)
        return batches[5]

    whole = batch(0, 1)
    for rank in range(2):
        share = batch(rank, 2)
        for name in ("features", "lengths", "target_lengths"):
            torch.testing.assert_close(getattr(share, name), getattr(whole, name)[rank::2], rtol=0, atol=0)


@pytest.mark.parametrize("settings", [{"batch_size": 5}, {"batch_size": 6, "accumulate": 2}])
def test_an_uneven_share_is_refused(corpus: tuple[Path, Path], tmp_path: Path, settings: dict[str, int]) -> None:
    config = load_config(corpus[0])
    source, optim = open_source(corpus[1], config), replace(config.optim, **settings)
    ranks = Ranks(0, 2, torch.device("cpu"))
    model = fixed_model(config, len(source.vocabulary))
    with pytest.raises(ConfigError, match="cannot be shared evenly by 2 processes"):
        CSLRTrainer(model, source, optim, config.loss, RunFiles(tmp_path), ranks)


@pytest.mark.slow
def test_torchrun_starts_it(corpus: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "app", "train", *arguments(corpus, tmp_path / "run")]
    command += ["--set", "optim.steps=2", "optim.accumulate=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "on 2 x cpu" in done.stderr
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "finished"
