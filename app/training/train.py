"""Train a recogniser: `python -m app.training.train --config configs/asl_everyday.yaml --data DATA --out runs/NAME`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from app.pipeline.module3_sequence.model import SignModel
from app.training.config import ConfigError, load_config
from app.training.corpus import CorpusError
from app.training.sources import open_source
from app.training.trainer import CSLRTrainer, load_run


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.training.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see configs/")
    parser.add_argument("--data", type=Path, required=True, help="folder of the signs corpus (train.npz, clips.csv)")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, state and weights of this run")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides, e.g. optim.steps=100")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network (0 = torch's default)")
    parser.add_argument("--workers", type=int, default=1, help="processes that compose phrases (0 = none)")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="finished runs to distil into this one")
    parser.add_argument("--init", type=Path, help="finished run whose weights this one starts from")
    parser.add_argument("--resume", action="store_true", help="go on from the last state in --out")
    return parser.parse_args(argv)


def finished_run(folder: Path, vocabulary: tuple[str, ...]) -> tuple[dict[str, Any], SignModel]:
    """What a finished run was, and its model. Raises ConfigError when it is missing or knows other glosses."""
    try:
        run, model = load_run(folder)
    except OSError as error:
        raise ConfigError(f"no finished run in {folder}: {error}") from error
    if tuple(run["vocabulary"]) != vocabulary:
        raise ConfigError(f"the run in {folder} was trained on other glosses than this one")
    return run, model


def command(args: argparse.Namespace) -> str:
    """This run as somebody else would type it: folders by their role, not by where they lie here."""
    parts = [f"--config configs/{args.config.name}", "--data DATA"]
    parts += [f"--init runs/{args.init.name}"] if args.init else []
    parts += [f"--teachers {' '.join(f'runs/{t.name}' for t in args.teachers)}"] if args.teachers else []
    parts += [f"--out runs/{args.out.name}"]
    parts += [f"--set {' '.join(args.set)}"] if args.set else []
    return "python -m app.training.train " + " ".join(parts)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        config = load_config(args.config, args.set)
        source = open_source(args.data, config)
        vocabulary = source.vocabulary
        model_config = config.model_config(len(vocabulary), source.model)
        teachers = [finished_run(folder, vocabulary)[1] for folder in args.teachers]
        torch.manual_seed(config.optim.seed)
        before: list[str] = []
        model = SignModel(model_config)
        if args.init:
            first, model = finished_run(args.init, vocabulary)
            before = first["commands"]
    except (ConfigError, CorpusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device)
    args.out.mkdir(parents=True, exist_ok=True)

    clips = source.report()["clips"]["train"]
    trainer = CSLRTrainer(
        model,
        source.batches(config.optim, 0, 1),
        config.optim,
        config.loss,
        args.out,
        device,
        evaluate=lambda model: source.evaluate(model, 0, 1),
        teachers=teachers,
        teacher_weight=config.teacher_weight,
        workers=args.workers,
    )
    if args.resume and trainer.resume():
        logger.info("resumed at step {}", trainer.step)
    size = sum(p.numel() for p in trainer.model.parameters())
    logger.info("{} glosses, {} clips, {:.2f}M weights on {}", len(vocabulary), clips, size / 1e6, device)
    run = {
        "vocabulary": vocabulary,
        "model": model.config.to_dict(),
        "seed": config.optim.seed,
        "clips": clips,
        # As somebody else would type it: folders by their role, not by where they lie here.
        "commands": [*before, command(args)],
    }
    (args.out / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    trainer.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
