"""Graceful shutdown: live sessions get their finals before the server closes its sockets.

uvicorn closes its sockets before the application learns of the shutdown (the lifespan's shutdown comes last), so the
signal itself is held back until the sessions are done. If a step never completes because a thread hangs in native
code that cannot be cancelled, the process still exits: with exit code 1, and the stacks of all threads on stderr.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from loguru import logger

from app.server.protect import GRACE_S

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Seconds that live sessions may take to end, and the application to close once its requests are over.
SESSIONS_S, CLOSING_S = 10.0, 30.0
#: Seconds that closing one part of the application (threads, the database) may take before the next one is closed.
PART_S = 10.0
#: Seconds that the process has left to exit when everything is closed.
EXIT_S = 5.0


class _LastResort:
    """Ends the process at a deadline, even while a thread holds the interpreter lock: the timer is C code."""

    armed = False

    def arm(self, seconds: float) -> None:
        """Exit in `seconds`; replaces an earlier time."""
        self.armed = True
        faulthandler.dump_traceback_later(seconds, exit=True)


_last_resort = _LastResort()


@asynccontextmanager
async def exiting_in_time() -> AsyncIterator[None]:
    """Wraps the lifespan of the application: after a signal ended it, the process exits soon."""
    try:
        yield
    finally:
        if _last_resort.armed:
            _last_resort.arm(EXIT_S)


async def within(seconds: float, what: str, close: Callable[[], Awaitable[None]]) -> None:
    """Close something, waiting at most this long: what comes after it has to be closed as well."""
    try:
        async with asyncio.timeout(seconds):
            await close()
    except TimeoutError:
        logger.error("{} did not end within {:g} s; continuing without it", what, seconds)


@contextmanager
def draining_first(drain: Callable[[], Awaitable[None]], jobs_s: float = 0.0) -> Iterator[None]:
    """While the block lasts, the server's own signal handlers run only after `drain`; a second signal does not wait.

    jobs_s: seconds that training jobs may take to stop. From the first signal on, the process has a bounded time left.
    Does nothing outside the main thread or where no server has put handlers of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    servers = {n: h for n, h in before.items() if callable(h) and h is not signal.default_int_handler}
    running: asyncio.Task[None] | None = None

    async def orderly(number: int) -> None:
        logger.info("shutting down: ending live sessions")
        try:
            await drain()
        finally:
            _call(number)

    def _call(number: int) -> None:
        handler = servers[signal.Signals(number)]
        assert callable(handler)
        handler(number, None)

    def begin(number: int) -> None:
        nonlocal running
        if running is None:
            running = loop.create_task(orderly(number))
        else:
            _call(number)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if not _last_resort.armed:
            _last_resort.arm(max(SESSIONS_S, jobs_s) + GRACE_S + CLOSING_S)
        loop.call_soon_threadsafe(begin, number)

    for number in servers:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in servers.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)
