"""`labels`: the numbered vocabulary of a checkpoint."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("labels", help="list the glosses a checkpoint knows")
    parser.add_argument("--checkpoint", help="id of the recogniser, default: the setting CHECKPOINT")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError, load_settings
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.recogniser import Recogniser
    from app.services.recognition.checkpoint_store import check_checkpoint

    settings = load_settings(**({"checkpoint": args.checkpoint} if args.checkpoint else {}))
    check_checkpoint(settings)
    try:
        recogniser = Recogniser.load(settings.checkpoint_path)
    except CheckpointError as problem:
        raise SettingsError(str(problem)) from problem
    for number, gloss in enumerate(recogniser.vocabulary, start=1):
        print(f"{number}\t{gloss}")
    return 0
