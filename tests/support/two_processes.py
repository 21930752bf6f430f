"""Two processes that train together, as ranks 0 and 1."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

from tests.support.processes import free_port


def run_two(as_rank: Callable[..., None], *arguments: object) -> None:
    """Run `as_rank(rank, port, *arguments)` in two processes; both have to end well within four minutes."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=as_rank, args=(rank, port, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        if process.is_alive():
            process.kill()
    assert [p.exitcode for p in processes] == [0, 0]
