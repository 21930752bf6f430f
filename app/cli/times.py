"""`times`: fit how a checkpoint finds where its signs begin and end."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "times",
        help="fit how a checkpoint finds the start and end of signs",
        description="Fits the weights of the times of signs on composed phrases and single clips of training signers, "
        'and prints them: "times" in config.json.',
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of the signs corpus; or of signs/ and wlasl/ together, or a file that `glosses pack` made",
    )
    parser.add_argument("--vocabulary", help="name of the vocabulary that wlasl is read with (default: everyday)")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="fit nothing, but measure the checkpoint's times on phrases of dev signers of the signs corpus (for the "
        "large vocabulary `glosses evaluate` does)",
    )
    parser.add_argument("--write", action="store_true", help="write them into config.json")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary
    from app.pipeline.recogniser import Recogniser
    from app.pipeline.whole_files import write_whole
    from app.training.corpora.glosses.times import timed_examples as of_glosses
    from app.training.corpora.glosses.train import open_bank
    from app.training.corpora.signs.times import time_errors
    from app.training.corpora.signs.times import timed_examples as of_signs
    from app.training.errors import CorpusError
    from app.training.sign_times import fit

    try:
        recogniser = Recogniser.load(args.checkpoint)
        if args.measure:
            print(json.dumps(time_errors(recogniser, args.data)))
            return 0
        if (args.data / "clips.csv").is_file():
            weights = fit(of_signs(recogniser, args.data))
        else:
            weights = fit(of_glosses(recogniser.reading_with(args.vocabulary), open_bank(args.data)))
        print(json.dumps({"times": weights.to_dict()}))
        if args.write:
            path = args.checkpoint / "config.json"
            values = json.loads(path.read_text(encoding="utf-8")) | {"times": weights.to_dict()}
            write_whole(path, json.dumps(values, indent=1) + "\n")
    except (CheckpointError, CorpusError, UnknownVocabulary, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
