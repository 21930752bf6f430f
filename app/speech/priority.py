"""Work that others go before: signs are read while speech is."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import TypeVar

#: As of the command `nice`.
NICENESS = 5

T = TypeVar("T")


def lower_priority() -> None:
    """Of this thread and of those that it starts, where the system has priorities of threads (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def at_lower_priority(work: Callable[[], T]) -> T:
    """What work returns or raises, from a thread of its own: threads that it starts keep its priority."""
    outcome: list[T] = []
    problem: list[BaseException] = []

    def run() -> None:
        lower_priority()
        try:
            outcome.append(work())
        except BaseException as raised:  # noqa: BLE001 - raised again by the caller
            problem.append(raised)

    thread = threading.Thread(target=run, name="lower-priority")
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return outcome[0]
