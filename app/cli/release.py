"""`release`: from training runs to a checkpoint with its model card."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loguru import logger


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "release",
        help="make a checkpoint from training runs, with a model card",
        description="Of runs on the signs corpus the first is released, with decoder settings chosen on dev; the "
        "others show the spread over seeds. Of runs on BOSTON-104 the networks are averaged; those under --held-out "
        "give the dev figures. A run on a corpus of your own needs no release: activate its folder `final`.",
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus they were trained on")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write; its name becomes the id")
    boston = parser.add_argument_group("of BOSTON-104")
    boston.add_argument("--held-out", type=Path, nargs="+", help="runs with boston104.held_out >= 0")
    boston.add_argument("--config", type=Path, help="configs/boston104.yaml")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.pipeline.checkpoint import CheckpointError
    from app.training.corpora.boston104.release import release as release_boston104
    from app.training.corpora.opening import corpus_kind
    from app.training.corpora.signs.release import release as release_signs
    from app.training.errors import ConfigError, CorpusError

    logger.remove()
    logger.add(sys.stderr, level="INFO")
    try:
        match corpus_kind(args.data):
            case "signs":
                print(release_signs(args.runs, args.data, args.out))
            case "boston104":
                if not args.held_out or not args.config:
                    raise ConfigError("runs on BOSTON-104 are released with --held-out RUN ... and --config FILE")
                print(release_boston104(args.runs, args.held_out, args.config, args.data, args.out))
            case _:
                raise ConfigError(
                    "a run on a corpus of your own needs no release: its folder `final` is a checkpoint with a model "
                    "card already"
                )
    except (CheckpointError, ConfigError, CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
