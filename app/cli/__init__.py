"""The command line: `python -m app <command>`. Heavy parts are imported by the command that needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from loguru import logger

from app import __version__
from app.core.settings import SettingsError


def _parser(with_samples: bool) -> argparse.ArgumentParser:
    from app.cli import caption, dataset, db, doctor, extract, labels, serve

    parser = argparse.ArgumentParser(prog="python -m app", description="Glossline: live captions for sign language.")
    parser.add_argument("--version", action="version", version=f"glossline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for module in (caption, serve, doctor, labels, dataset, extract, db):
        module.add_parser(commands)
    if with_samples:
        from app.cli import samples

        samples.add_parser(commands)
    else:
        commands.add_parser("samples", help="list and render the prototype signer's samples", add_help=False)
    commands.add_parser("evaluate", help="measure a checkpoint on a corpus", add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 something failed, 2 wrong usage or settings."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # Commands speak for themselves; from the log only warnings. `serve` sets the log up by its settings.
    logger.remove()
    logger.add(sys.stderr, level="WARNING", format="{level}: {message}")
    if argv[:1] == ["evaluate"]:
        from app.cli import evaluate as evaluate_command

        return int(evaluate_command.main(argv[1:]) or 0)
    args = _parser(with_samples=argv[:1] == ["samples"]).parse_args(argv)
    try:
        match args.command:
            case "caption":
                from app.cli import caption

                return caption.run(args)
            case "serve":
                from app.cli import serve

                return serve.run(args)
            case "doctor":
                from app.cli import doctor

                return doctor.run(args)
            case "db":
                from app.cli import db

                return db.run(args)
            case "labels":
                from app.cli import labels

                return labels.run(args)
            case "dataset":
                from app.cli import dataset

                return dataset.run(args)
            case "extract":
                from app.cli import extract

                return extract.run(args)
            case _:
                from app.cli import samples

                return int(samples.run(args) or 0)
    except SettingsError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; that is its right.
        sys.stderr.close()
        return 1
