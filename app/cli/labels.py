"""`labels`: the glosses that a checkpoint reads with a vocabulary."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("labels", help="list the glosses that a checkpoint reads")
    parser.add_argument("--checkpoint", help="id of the recogniser, default: the setting CHECKPOINT")
    parser.add_argument(
        "--vocabulary",
        metavar="NAME|GLOSS,GLOSS",
        help="list those of this vocabulary; default: everyday if the recogniser has it, else all it knows",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError, load_settings
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.module3_sequence.steps import label_ids
    from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary
    from app.pipeline.recogniser import Recogniser
    from app.services.recognition.checkpoint_store import check_checkpoint
    from app.services.recognition.vocabularies import from_text

    settings = load_settings(**({"checkpoint": args.checkpoint} if args.checkpoint else {}))
    check_checkpoint(settings)
    try:
        whole = Recogniser.load(settings.checkpoint_path)
        recogniser = whole.reading_with(None if args.vocabulary is None else from_text(args.vocabulary))
    except CheckpointError as problem:
        raise SettingsError(str(problem)) from problem
    except UnknownVocabulary as problem:
        raise SettingsError(f"--vocabulary: {problem}") from problem
    numbers = label_ids(whole.vocabulary)
    for gloss in recogniser.vocabulary:
        print(f"{numbers[gloss]}\t{gloss}")
    return 0
