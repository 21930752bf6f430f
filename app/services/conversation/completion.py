"""Events that something has to be added to, such as a translation, on their way to the client: in order; of those that
replace each other only the newest, which never holds up the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger


class CompletedEvents:
    """Runs from its creation until `close`."""

    def __init__(self, complete: Callable[[Any], Awaitable[Any]], send: Callable[[Any], None], name: str) -> None:
        """complete: returns the event to send; must be bounded in time. send: called in order."""
        self._complete, self._send = complete, send
        self._queued: deque[Any] = deque()
        self._newest: Any = None  # of those that replace each other
        self._something, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._waiting: asyncio.Task[Any] | None = None  # for one that may be replaced
        self._task = asyncio.create_task(self._run(), name=name)

    def put(self, event: Any) -> None:
        if event.slot is None:
            self._queued.append(event)
            self._newest = None  # is obsolete
            if self._waiting is not None:
                self._waiting.cancel()
        else:
            self._newest = event
        self._idle.clear()
        self._something.set()

    async def sent(self) -> None:
        """Return when everything has been sent."""
        await self._idle.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            if self._queued:
                await self._one(self._queued.popleft())
            elif self._newest is not None:
                event, self._newest = self._newest, None
                await self._one(event)
            else:
                self._idle.set()
                self._something.clear()
                await self._something.wait()

    async def _one(self, event: Any) -> None:
        completing = asyncio.ensure_future(self._complete(event))
        self._waiting = completing if event.slot is not None else None
        try:
            await asyncio.wait({completing})
        finally:
            self._waiting = None
            completing.cancel()
        if completing.cancelled():
            return
        if completing.exception() is not None:
            logger.opt(exception=completing.exception()).error("an event could not be completed")
            self._send(event)
        else:
            self._send(completing.result())
