"""`prototypes`: build the prototype signer's averaged signs from the training clips of the corpora."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loguru import logger


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("prototypes", help="build the prototype signer from recordings of single signs")
    parser.add_argument("--data", type=Path, required=True, help="folder with signs/ and, for all glosses, wlasl/")
    parser.add_argument("--out", type=Path, default=Path("app/signer/assets/prototypes.zip"))
    parser.add_argument("--gloss", nargs="*", help="only these (default: the vocabulary, and signs/ without letters)")
    parser.add_argument("--vocabulary", default="everyday", help="vocabulary of the checkpoint")
    parser.add_argument(
        "--checkpoint", type=Path, default=Path("checkpoints/asl-large"), help="reads the prototypes made from wlasl/"
    )
    parser.add_argument("--candidates", type=int, default=60, help="candidate clips per gloss of signs/")
    parser.add_argument("--per-signer", type=int, default=6)
    parser.add_argument("--keep", type=float, default=0.4, help="fraction of the candidates that is averaged")
    parser.add_argument("--at-most", type=int, default=20, help="maximum number of clips averaged per gloss")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.recogniser import Recogniser
    from app.signer.store import write
    from app.training.corpora.prototypes import Choices, make_all
    from app.training.errors import CorpusError

    logger.remove()
    logger.add(sys.stderr, level="INFO")
    chosen = Choices(*(getattr(args, name) for name in ("candidates", "per_signer", "keep", "at_most", "seed")))
    recogniser = None
    try:
        if (args.data / "wlasl").is_dir():
            recogniser = Recogniser.load(args.checkpoint).reading_with(args.vocabulary)
        body, signs = make_all(args.data, args.gloss, recogniser, chosen)
    except (CorpusError, CheckpointError) as problem:
        raise SettingsError(str(problem)) from problem
    write(args.out, body, signs)
    logger.info("{} glosses, {:.0f} kB in {}", len(signs), args.out.stat().st_size / 1000, args.out)
    return 0
