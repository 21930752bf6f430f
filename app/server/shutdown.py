"""An orderly end: when the process is told to stop, live sessions get their finals before the server closes sockets.

uvicorn closes its sockets before the application hears of the end (the lifespan's shutdown comes last), so the signal
itself has to wait until the sessions are done.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from loguru import logger

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def draining_first(drain: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """While the block lasts, the server's own signal handlers run only after `drain`; a second signal does not wait.

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
        loop.call_soon_threadsafe(begin, number)

    for number in servers:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in servers.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)
