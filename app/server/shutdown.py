"""An orderly end: when the process is told to stop, live sessions get their finals before the server closes sockets.

uvicorn closes its sockets before the application hears of the end (the lifespan's shutdown comes last), so the signal
itself has to wait until the sessions are done. Should a part of the end never come, because a thread hangs in native
code that nothing can cancel, the process exits all the same: with exit code 1, and the stacks of all threads on stderr.
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
#: Longest time that live sessions take to end, and that the application takes to close once its requests are over.
SESSIONS_S, CLOSING_S = 10.0, 30.0
#: What closes one part of the application (threads, the database) may wait for this long; then the next part's turn.
PART_S = 10.0
#: When everything is closed, the process has this long left to exit.
EXIT_S = 5.0


class _LastResort:
    """Ends the process when its time is over, even while a thread holds the interpreter's lock: the timer is C code."""

    armed = False

    def arm(self, seconds: float) -> None:
        """Exit in `seconds`; replaces an earlier time."""
        self.armed = True
        faulthandler.dump_traceback_later(seconds, exit=True)


_last_resort = _LastResort()


@asynccontextmanager
async def exiting_in_time() -> AsyncIterator[None]:
    """Round the whole lifespan of the application: when it is over because of a signal, the process exits soon."""
    try:
        yield
    finally:
        if _last_resort.armed:
            _last_resort.arm(EXIT_S)


async def within(seconds: float, closing: Awaitable[None], what: str) -> None:
    """Wait for something that closes, but not longer: what comes after it has to be closed as well."""
    try:
        async with asyncio.timeout(seconds):
            await closing
    except TimeoutError:
        logger.error("{} did not end within {:g} s; going on without", what, seconds)


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
        logger.info("stopping: live sessions are being ended")
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
