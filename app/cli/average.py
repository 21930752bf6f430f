"""`average`: the mean of the weights of runs that started from one another, as a run like any other."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("average", help="average the weights of training runs into a new run")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders, one started from the other")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.training.errors import ConfigError
    from app.training.release.average import average

    try:
        average(args.runs, args.out)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
