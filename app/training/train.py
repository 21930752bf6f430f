"""Train a recogniser: `python -m app.training.train --config configs/asl_everyday.yaml --data DATA --out runs/NAME`.

Several processes: `python -m torch.distributed.run --standalone --nproc-per-node N -m app.training.train ...`.
Ends with 0 when finished, 1 when it failed, 2 when settings or data are refused, 3 when stopped by a signal.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from app.pipeline.module2_feature.rgb_encoder import WeightsUnavailable
from app.pipeline.module3_sequence.model import SignModel
from app.training.config import ConfigError, TrainConfig, load_config
from app.training.corpora.opening import Source, open_source
from app.training.corpora.signs.clips import CorpusError
from app.training.loop.checkpoints import CheckpointManager
from app.training.loop.distributed import Ranks, joined
from app.training.loop.random_state import seed_all
from app.training.loop.signals import stop_on_signal
from app.training.loop.trainer import CSLRTrainer
from app.training.release.final import finished_run, write_final
from app.training.run_folder import RunFiles

FINISHED, FAILED, REFUSED, STOPPED = 0, 1, 2, 3


@dataclass(frozen=True)
class Settings:
    """One run, as the command line gives it. threads: of the network on the CPU, 0 = torch's default; workers:
    processes that make batches, 0 = none; overrides: "optim.steps=100"-like."""

    config: Path
    data: Path
    out: Path
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    teachers: tuple[Path, ...] = ()
    init: Path | None = None
    resume: bool = False

    def command(self) -> str:
        """This run as somebody else would type it: folders by their role, not by where they lie here."""
        parts = [f"--config configs/{self.config.name}", "--data DATA"]
        parts += [f"--init runs/{self.init.name}"] if self.init else []
        parts += [f"--teachers {' '.join(f'runs/{t.name}' for t in self.teachers)}"] if self.teachers else []
        parts += [f"--out runs/{self.out.name}"]
        parts += [f"--set {' '.join(self.overrides)}"] if self.overrides else []
        return "python -m app.training.train " + " ".join(parts)


def parser(prog: str, doc: str | None) -> argparse.ArgumentParser:
    """Arguments of every door to the training."""
    parser = argparse.ArgumentParser(prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see configs/")
    parser.add_argument("--data", type=Path, required=True, help="folder of a corpus; its kind is worked out")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, checkpoints and weights of this run")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides, e.g. optim.steps=100")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network (0 = torch's default)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (0 = none)")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="finished runs to distil into this one")
    parser.add_argument("--init", type=Path, help="finished run whose weights this one starts from")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")
    return parser


def settings(args: argparse.Namespace) -> Settings:
    return Settings(
        args.config,
        args.data,
        args.out,
        tuple(args.set),
        args.device,
        args.threads,
        args.workers,
        tuple(args.teachers),
        args.init,
        args.resume,
    )


def train(settings: Settings) -> int:
    """The whole run, in this process or as one of several (`joined`); returns the exit status.

    The first process keeps status.json true, whatever happens; a refusal is printed in one line.
    """
    try:
        with joined(settings.device) as ranks:
            return _train(settings, ranks)
    except (ConfigError, CorpusError) as error:
        # Each of several processes says so: torchrun ends the others as soon as one has, the first perhaps unheard.
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _train(settings: Settings, ranks: Ranks) -> int:
    config = load_config(settings.config, settings.overrides)
    _refuse_occupied(settings)
    source = open_source(settings.data, config)
    seed_all(config.optim.seed)
    model, before = _new_model(settings, config, source)
    teachers = [finished_run(folder, source.vocabulary)[1] for folder in settings.teachers]
    if settings.threads:
        torch.set_num_threads(settings.threads)
    report = source.report()
    run = {
        "vocabulary": source.vocabulary,
        "model": model.config.to_dict(),
        "seed": config.optim.seed,
        "clips": report["clips"]["train"],
        "commands": [*before, settings.command()],
    }
    files = RunFiles(settings.out, ranks.main)
    trainer = CSLRTrainer(
        model,
        source,
        config.optim,
        config.loss,
        files,
        ranks,
        teachers=teachers,
        teacher_weight=config.teacher_weight,
        workers=settings.workers,
        on_best=lambda best, step, figures: write_final(settings.out, run, source, best, step, figures),
    )
    if ranks.main:
        trainer.checkpoints.clean()
    # From here on the ranks draw apart: dropout must not fall on the same units in every share.
    seed_all(config.optim.seed + 1009 * ranks.rank)
    if settings.resume and trainer.resume() and ranks.main:
        logger.info("resumed at step {}", trainer.step)
    files.forget_after(trainer.step)
    files.json("run.json", run)
    files.json("data_report.json", report)
    if ranks.main:
        size = sum(p.numel() for p in trainer.model.parameters())
        logger.info(
            "{} glosses, {} clips, {:.2f}M weights on {} x {}, {}",
            *(len(source.vocabulary), run["clips"], size / 1e6, ranks.world, ranks.device, trainer.dtype),
        )
    return _run(trainer, run, files, ranks)


def _run(trainer: CSLRTrainer, run: dict[str, Any], files: RunFiles, ranks: Ranks) -> int:
    """Train, and say in status.json how it ended."""
    trainer.report("starting")
    try:
        with stop_on_signal() as stop:
            ended = trainer.run(stop)
        # The best on dev is there already; a run that never looked at dev leaves what it has.
        if ranks.main and math.isinf(trainer.plateau.best):
            write_final(files.folder, run, trainer.source, trainer.averaged_model(), trainer.step, {})
    except OSError as error:
        _fail(trainer, f"{error.strerror or error} ({error.filename})" if error.filename else str(error))
        logger.error("the run ends at step {}: {}", trainer.step, error)
        return FAILED
    except BaseException as error:
        _fail(trainer, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        raise
    finally:
        files.close()
    match ended:
        case "signal":
            trainer.report("stopped", f"stopped by a signal after step {trainer.step}; resumed, it goes on from there")
            return STOPPED
        case "patience":
            trainer.report("finished", f"ended early: {trainer.plateau.bad} evaluations without a better dev WER")
        case _:
            trainer.report("finished")
    return FINISHED


def _fail(trainer: CSLRTrainer, reason: str) -> None:
    try:
        trainer.report("failed", reason)
    except OSError as error:
        logger.error("status.json cannot say that the run failed ({}): {}", reason, error)


def _refuse_occupied(settings: Settings) -> None:
    if not settings.resume and CheckpointManager(settings.out / "checkpoints").latest():
        raise ConfigError(
            f"{settings.out} already holds checkpoints; --resume goes on from them, or name another --out"
        )


def _new_model(settings: Settings, config: TrainConfig, source: Source) -> tuple[SignModel, list[str]]:
    """The network to train and the commands that made it so far. Raises ConfigError."""
    if settings.init:
        first, model = finished_run(settings.init, source.vocabulary)
        return model, first["commands"]
    wanted = config.model_config(len(source.vocabulary), source.model)
    try:
        return SignModel(wanted), []
    except (WeightsUnavailable, ValueError) as error:
        raise ConfigError(f"model: {error}") from error


def main(argv: list[str] | None = None) -> int:
    return train(settings(parser("python -m app.training.train", __doc__).parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
