"""What a live session of any kind has: its names, its outbox, its last sign of life, and how it ends."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable

from app.core.errors import ServiceError, SlowReader
from app.core.principal import Principal
from app.services.conversation.events import Event, Warning
from app.services.conversation.outbox import Outbox


class BaseSession(ABC):
    """Not thread-safe; use from one event loop."""

    def __init__(self, principal: Principal, now: Callable[[], float]) -> None:
        """principal: whose session it is. now: monotonic seconds."""
        self.id = secrets.token_hex(8)
        self.token = secrets.token_urlsafe(24)
        self.principal = principal
        self.outbox = Outbox()
        self.began = now()
        self.finished = False
        """Everything was sent; the session cannot be resumed."""
        self.failed: ServiceError | None = None
        """Why the session has to end; read by its conversation."""
        self._now = now
        self._last_message_at = self.began
        self._taking = True  # input is accepted
        self._at_rest = asyncio.Event()  # nothing that was received waits to be read

    def touch(self) -> None:
        """A message arrived: the session is not idle."""
        self._last_message_at = self._now()

    @property
    def idle_s(self) -> float:
        """Seconds since the last message."""
        return self._now() - self._last_message_at

    def resume(self) -> None:
        """The client is back on another connection: accept its input again."""
        self._taking = True
        self.touch()

    def fail(self, problem: ServiceError) -> None:
        """End the session; the first reason is kept."""
        self.failed = self.failed or problem
        self._at_rest.set()

    def send_event(self, event: Event, last: bool = False) -> None:
        """Queue an event; the session ends if the client does not read. last: as for `Outbox.put_last`."""
        try:
            (self.outbox.put_last if last else self.outbox.put)(event)
        except SlowReader as problem:
            self.fail(problem)

    def warn(self, code: str, message: str) -> None:
        self.send_event(Warning(code=code, message=message))

    async def end(self, last: Event | None, problem: ServiceError, timeout_s: float) -> None:
        """End the session from the service's side: what was received becomes final, then `last` is sent, if any."""
        await self.flushed(timeout_s)
        if last is not None:
            self.send_event(last, last=True)
        self.fail(problem)

    @abstractmethod
    async def flushed(self, timeout_s: float) -> None:
        """Accept no more input; return when what was received has been read and sent."""
