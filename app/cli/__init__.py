"""The command line: `python -m app <command>`, one module for each command.

A module's `add_parser` adds the command with `set_defaults(run=...)`; its `run` imports what it needs when it is
called, so that no command waits for the libraries of another.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from loguru import logger

from app import __version__
from app.cli import (
    admin,
    average,
    caption,
    dataset,
    db,
    doctor,
    evaluate,
    extract,
    glosses,
    grammar,
    labels,
    perform,
    prototypes,
    release,
    samples,
    serve,
    signs,
    times,
    train,
)
from app.core.settings import SettingsError

_COMMANDS = (
    *(caption, signs, serve, doctor, labels, samples, perform, grammar, db, admin),
    *(dataset, extract, train, evaluate, average, release, glosses, prototypes, times),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 something failed, 2 wrong usage or settings."""
    # Commands print their results; from the log only warnings. `serve` sets the log up by its settings.
    logger.remove()
    logger.add(sys.stderr, level="WARNING", format="{level}: {message}")
    parser = argparse.ArgumentParser(prog="python -m app", description="Glossline: live captions for sign language.")
    parser.add_argument("--version", action="version", version=f"glossline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except SettingsError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has exited, which is not an error.
        sys.stderr.close()
        return 1
