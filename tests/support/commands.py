"""Commands of `python -m app`, run in this process; each takes its arguments and returns the exit code."""

from __future__ import annotations

from collections.abc import Sequence

from app.cli import main


def train(arguments: Sequence[object]) -> int:
    return main(["train", *map(str, arguments)])


def evaluate(arguments: Sequence[object]) -> int:
    return main(["evaluate", *map(str, arguments)])


def release(arguments: Sequence[object]) -> int:
    return main(["release", *map(str, arguments)])


def average(arguments: Sequence[object]) -> int:
    return main(["average", *map(str, arguments)])


def glosses(arguments: Sequence[object]) -> int:
    return main(["glosses", *map(str, arguments)])
