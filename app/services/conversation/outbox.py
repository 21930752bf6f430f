"""Unsent events of one client: most are queued, of those with a slot only the newest is kept (see events.Event)."""

from __future__ import annotations

import asyncio
from collections import deque

from app.core.errors import SlowReader
from app.services.conversation.events import Event

#: Queued events above which a client is considered not to read.
MAX_QUEUED = 256
#: Events kept for resuming after a lost connection.
MAX_KEPT = 512


class Outbox:
    """Not thread-safe; use from one event loop. `seq` increases with every event sent, also when it is sent again."""

    def __init__(self, max_queued: int = MAX_QUEUED) -> None:
        self._max_queued = max_queued
        self._queue: deque[Event] = deque()
        self._slots: dict[int, Event] = {}
        self._kept: deque[Event] = deque(maxlen=MAX_KEPT)  # sent, not acknowledged
        self._seq = 0
        self._ended = False  # `put_last` was called
        self._something = asyncio.Event()
        self._all_sent = asyncio.Event()

    def put(self, event: Event) -> None:
        """Queue this event. Raises SlowReader when too many are queued."""
        if event.slot is not None:
            if not self._ended:
                self._slots[event.slot] = event
                self._something.set()
            return
        if len(self._queue) >= self._max_queued:
            raise SlowReader
        for slot in event.clears:
            self._slots.pop(slot, None)
        self._queue.append(event)
        self._all_sent.clear()
        self._something.set()

    def put_last(self, event: Event) -> None:
        """Queue the event that ends the session, such as `closing`: nothing that has a slot is sent after it. Raises
        SlowReader."""
        self.put(event)
        self._ended = True
        self._slots.clear()

    def put_first(self, event: Event) -> None:
        """Queue an event before all others."""
        self._queue.appendleft(event)
        self._something.set()

    async def next(self) -> Event:
        """The next event, with its `seq`; waits for one."""
        while not self.waiting:
            self._all_sent.set()
            self._something.clear()
            await self._something.wait()
        event = self._queue.popleft() if self._queue else self._slots.pop(min(self._slots))
        event = event.model_copy(update={"seq": self.next_seq()})
        if event.kept:
            self._kept.append(event)
        return event

    async def sent(self) -> None:
        """Return when the caller of `next` has asked for more and nothing is left."""
        if self.waiting:
            self._all_sent.clear()
        await self._all_sent.wait()

    def acknowledge(self, seq: int) -> None:
        """The client has received everything up to `seq`: drop it."""
        while self._kept and self._kept[0].seq <= seq:
            self._kept.popleft()

    def reconnect(self, last_seq: int) -> None:
        """Resume for a new connection of the client, which has everything up to `last_seq`: send the kept events after
        it again.

        They come before everything not sent yet, in their order, but after what is put in front.
        """
        self.acknowledge(last_seq)
        self._slots = {slot: event for slot, event in self._slots.items() if event.outlives_connection}
        self._queue.extendleft(reversed(self._kept))
        self._kept.clear()
        # A lost connection may still wait in `next`: it must stay there, or it would take events meant for the new one.
        self._something = asyncio.Event()

    def next_seq(self) -> int:
        """A number for an event that bypasses the outbox: the last one before the end."""
        self._seq += 1
        return self._seq

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._slots)
