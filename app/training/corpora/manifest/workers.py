"""Jobs spread over worker processes, one at a time each: a worker that dies loses only its job."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds that a worker gets to exit before it is killed.
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """Takes the place of a result when the worker died."""

    exitcode: int | None
    """Negative for a signal, such as -9 when memory ran out."""

    def __str__(self) -> str:
        why = f"signal {-self.exitcode}" if self.exitcode is not None and self.exitcode < 0 else f"code {self.exitcode}"
        return f"the process that worked on it ended ({why})"


@dataclass
class _Worker(Generic[Job]):
    process: BaseProcess
    pipe: Connection
    job: Job | None = None


def spread(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Iterator[tuple[Job, Result | WorkerDied]]:
    """`function(job)` of each job, in `workers` processes, results as they come.

    The function must be importable and must not raise; the processes are started afresh (not forked), ignore Ctrl-C,
    and are gone when the iterator ends, is closed, or an exception such as KeyboardInterrupt leaves it.
    """
    if workers < 1:
        raise ValueError(f"at least 1 worker is needed, got {workers}")
    context = multiprocessing.get_context("spawn")
    # Its start, else a part of the first worker's, would let Ctrl-C through again.
    resource_tracker.ensure_running()
    waiting = iter(jobs)
    crew: list[_Worker[Job]] = []

    def hire() -> _Worker[Job]:
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(function, there), daemon=True)
        with _ctrl_c_waits():
            process.start()
            worker = _Worker[Job](process, here)
            crew.append(worker)
        there.close()  # so that the end of the worker is seen here
        return worker

    def give(worker: _Worker[Job]) -> None:
        for job in waiting:
            worker.job = job
            worker.pipe.send(job)
            return
        worker.pipe.close()
        crew.remove(worker)
        _leave(worker.process)

    try:
        for _ in range(workers):
            worker = hire()
            give(worker)
            if worker not in crew:
                break
        while crew:
            ready = wait([worker.pipe for worker in crew])
            for worker in [w for w in crew if w.pipe in ready]:
                job = worker.job
                assert job is not None
                try:
                    result: Result | WorkerDied = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    result = WorkerDied(worker.process.exitcode)
                    worker.pipe.close()
                    crew.remove(worker)
                    worker = hire()
                give(worker)
                yield job, result
    finally:
        for worker in crew:
            worker.pipe.close()
            worker.process.terminate()
        for worker in crew:
            _leave(worker.process)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C is put off: a worker is either there and known, or was never begun. What is started inherits the mask, so
    that no worker ends with a traceback before it has come to ignore Ctrl-C."""
    asked = False

    def later(*_: object) -> None:
        nonlocal asked
        asked = True

    # The mask holds for this thread alone; the handler also for what another thread caught.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, later) if main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
    if asked:
        signal.raise_signal(signal.SIGINT)


def _leave(process: BaseProcess) -> None:
    process.join(_GRACE_S)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _serve(function: Callable[[Job], Result], pipe: Connection) -> None:
    """The life of a worker: it ends when the other side of the pipe is gone, even by kill -9."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            pipe.send(function(pipe.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
