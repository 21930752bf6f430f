"""One training run, from its config and corpus to a checkpoint that the service can load: `python -m app train`."""

from __future__ import annotations

import copy
import math
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from loguru import logger

from app.pipeline.module2_feature.rgb_encoder import WeightsUnavailable
from app.pipeline.module3_sequence.model import SignModel
from app.training import run_folder
from app.training.config import TrainConfig, load_config
from app.training.corpora.opening import open_source, recordings_of
from app.training.errors import ConfigError, CorpusError
from app.training.growing import Start, grown, reading_of, start_of
from app.training.kinds import config_kind
from app.training.loop.distributed import Ranks, joined
from app.training.loop.ending import run_to_end
from app.training.loop.random_state import seed_all
from app.training.loop.trainer import CSLRTrainer
from app.training.release.final import finished_run, write_final
from app.training.source import Source


@dataclass(frozen=True)
class TrainRun:
    """What to train, on what, and where."""

    config: Path
    """YAML file, see `app.training.config`."""
    data: Path
    """Folder of a corpus."""
    out: Path
    """Folder of the run, see `app.training.run_folder`."""
    overrides: tuple[str, ...] = ()
    """Settings that differ from the config, such as "optim.steps=100"."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: int = 0
    """CPU threads of the network; 0 = PyTorch's default."""
    workers: int | None = None
    """Processes that make batches; 0 = none; None = as the config says, or 1."""
    teachers: tuple[Path, ...] = ()
    """Finished runs to distil into this one."""
    init: Path | None = None
    """Finished run, or checkpoint, whose weights this one starts from; a manifest may add glosses to it."""
    resume: bool = False
    """Go on from the newest checkpoint in `out`."""

    def command(self) -> str:
        """The command of this run with generic folder names instead of the paths on this machine."""
        parts = [f"--config configs/{self.config.name}", "--data DATA"]
        parts += [f"--init runs/{self.init.name}"] if self.init else []
        parts += [f"--teachers {' '.join(f'runs/{t.name}' for t in self.teachers)}"] if self.teachers else []
        parts += [f"--out runs/{self.out.name}"]
        parts += [f"--set {' '.join(self.overrides)}"] if self.overrides else []
        return "python -m app train " + " ".join(parts)


def train(run: TrainRun) -> int:
    """The whole run, in this process or as one of several (`joined`); returns the exit code.

    The first process keeps status.json true, whatever happens; a refusal is printed in one line.
    """
    try:
        with joined(run.device) as ranks:
            return _train(run, ranks)
    except (ConfigError, CorpusError) as error:
        # Printed by each process: torchrun ends the others as soon as one has exited, possibly the first.
        print(f"error: {error}", file=sys.stderr)
        return run_folder.REFUSED


def _train(run: TrainRun, ranks: Ranks) -> int:
    """Config, corpus, network, trainer; then the loop."""
    if missing := run_folder.missing_packages():
        raise ConfigError(missing)
    if config_kind(run.config) == "glosses":
        return _train_glosses(run, ranks)
    config = load_config(run.config, run.overrides)
    if run_folder.has_checkpoint(run.out) and not run.resume:
        raise ConfigError(
            f"{run.out} already contains checkpoints; use --resume to continue from them, or another --out"
        )
    start = None if run.init is None else start_of(run.init)
    source = open_source(run.data, config, () if start is None else start.vocabulary)

    seed_all(config.optim.seed)
    model, earlier_commands = _new_model(run, config, source, start)
    grows = start is not None and start.vocabulary != source.vocabulary
    if start is not None:
        source.checkpoint = reading_of(start.config, source.vocabulary) | source.checkpoint
    teachers = [finished_run(folder, source.vocabulary)[1] for folder in run.teachers]
    if run.threads:
        torch.set_num_threads(run.threads)

    report = source.report()
    about = {
        "vocabulary": source.vocabulary,
        "model": model.config.to_dict(),
        "seed": config.optim.seed,
        "clips": report["clips"]["train"],
        "commands": [*earlier_commands, run.command()],
    }
    files = run_folder.RunFiles(run.out, ranks.main)
    trainer = CSLRTrainer(
        model,
        source,
        config.optim,
        config.loss,
        files,
        ranks,
        teachers=teachers,
        teacher_weight=config.teacher_weight,
        before=start.model if start is not None and grows else None,
        before_weight=config.before_weight,
        frozen=config.frozen,
        workers=1 if run.workers is None else run.workers,
        on_best=lambda best, step, figures: write_final(run.out, about, source, best, step, figures),
    )
    if ranks.main:
        trainer.checkpoints.clean()
    # From here on the ranks draw apart: dropout must not fall on the same units in every share.
    seed_all(config.optim.seed + 1009 * ranks.rank)
    if run.resume and trainer.resume() and ranks.main:
        logger.info("resumed at step {}", trainer.step)
    files.forget_after(trainer.step)
    files.json(run_folder.RUN, about)
    files.json(run_folder.DATA_REPORT, report)
    if ranks.main:
        size = sum(p.numel() for p in trainer.model.parameters())
        logger.info(
            "{} glosses, {} clips, {:.2f}M weights on {} x {}, {}",
            *(len(source.vocabulary), about["clips"], size / 1e6, ranks.world, ranks.device, trainer.dtype),
        )
        logger.info(
            "{} steps of {} clips, {} an epoch; a log line every {}, an evaluation every {}, a checkpoint every {}",
            *(trainer.config.steps, trainer.config.batch_size, trainer.epoch_steps),
            *(trainer.config.log_every, trainer.config.eval_every, trainer.config.save_every),
        )

    def finish(ended: str | None) -> str | None:
        # The best on dev is already saved; a run that was never evaluated on dev saves its last weights.
        if ranks.main and math.isinf(trainer.plateau.best):
            write_final(run.out, about, source, trainer.averaged_model(), trainer.step, {})
        bad = trainer.plateau.bad
        return f"ended early: {bad} evaluations without a better dev WER" if ended == "patience" else None

    return run_to_end(trainer, files, finish)


def _train_glosses(run: TrainRun, ranks: Ranks) -> int:
    """The large vocabulary. Raises ConfigError, CorpusError."""
    from app.training.corpora.glosses.launch import train_glosses
    from app.training.corpora.glosses.settings import load_plan

    if run.teachers:
        raise ConfigError(
            "--teachers is for configs without kind: glosses; here set teachers and objective.distil in the config"
        )
    if run.threads:
        torch.set_num_threads(run.threads)
    workers = () if run.workers is None else (f"workers={run.workers}",)
    plan = load_plan(run.config, (*workers, *run.overrides))
    return train_glosses(plan, run.data, run.out, ranks, run.init, run.resume)


def _new_model(run: TrainRun, config: TrainConfig, source: Source, start: Start | None) -> tuple[SignModel, list[str]]:
    """The network to train and the commands that made it so far. Raises ConfigError."""
    if start is not None:
        if start.vocabulary == source.vocabulary:
            return copy.deepcopy(start.model), list(start.commands)
        new = recordings_of(source, source.vocabulary[len(start.vocabulary) :])
        return grown(start.model, start.vocabulary, source.vocabulary, new), list(start.commands)
    network = source.checkpoint_type.network
    wanted = config.model_config(len(source.vocabulary), source.model, network.config_type)
    try:
        return network(wanted), []
    except (WeightsUnavailable, ValueError) as error:
        raise ConfigError(f"model: {error}") from error


if __name__ == "__main__":
    # `python -m app.training.train`, as the commands in the cards of earlier checkpoints have it, is `app train`.
    sys.argv.insert(1, "train")
    runpy.run_module("app", run_name="__main__", alter_sys=True)
