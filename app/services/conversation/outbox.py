"""Events on their way to one client: finals and control events are queued, partials and landmarks have a slot each."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

Event = dict[str, Any]

#: Finals that a client may be behind before it is taken for one that does not read.
MAX_QUEUED = 256
#: Finals kept for a client that comes back after a lost connection.
MAX_KEPT = 512


class SlowReader(Exception):
    """The client does not take its events."""


class Outbox:
    """For one event loop. `seq` grows with every event handed out, a replayed final included."""

    def __init__(self, max_queued: int = MAX_QUEUED) -> None:
        self._max_queued = max_queued
        self._queue: deque[Event] = deque()
        self._partial: Event | None = None
        self._landmarks: Event | None = None
        self._kept: deque[Event] = deque(maxlen=MAX_KEPT)  # finals handed out, not acknowledged
        self._seq = 0
        self._ended = False  # `put_last` was called
        self._something = asyncio.Event()
        self._all_sent = asyncio.Event()

    def put(self, event: Event) -> None:
        """Queue an event that must arrive. Raises SlowReader when too many wait already."""
        if len(self._queue) >= self._max_queued:
            raise SlowReader
        if event["type"] == "final":
            self._partial = None  # it spoke of the sentence that is now final
        self._queue.append(event)
        self._all_sent.clear()
        self._something.set()

    def put_last(self, event: Event) -> None:
        """Queue the event that ends the captions, such as `closing`: no partial and no landmarks are sent after it.

        Raises SlowReader.
        """
        self.put(event)
        self._ended = True
        self._partial = self._landmarks = None

    def put_partial(self, event: Event) -> None:
        """Show this partial next, in place of one that has not been sent yet."""
        if self._ended:
            return
        self._partial = event
        self._something.set()

    def put_landmarks(self, event: Event) -> None:
        """Send these landmarks when nothing else waits, in place of some that have not been sent yet."""
        if self._ended:
            return
        self._landmarks = event
        self._something.set()

    async def next(self) -> Event:
        """The next event, with its `seq`; waits for one."""
        while not self.waiting:
            self._all_sent.set()
            self._something.clear()
            await self._something.wait()
        if self._queue:
            event = self._queue.popleft()
        elif self._partial is not None:
            event, self._partial = self._partial, None
        else:
            assert self._landmarks is not None
            event, self._landmarks = self._landmarks, None
        self._seq += 1
        event = {**event, "seq": self._seq}
        if event["type"] == "final":
            self._kept.append(event)
        return event

    async def sent(self) -> None:
        """Returns when whoever calls `next` has come back for more and there was nothing."""
        if self.waiting:
            self._all_sent.clear()
        await self._all_sent.wait()

    def acknowledge(self, seq: int) -> None:
        """The client has everything up to `seq`: it need not be kept."""
        while self._kept and self._kept[0]["seq"] <= seq:
            self._kept.popleft()

    def reconnect(self, last_seq: int) -> None:
        """A new connection of the same client, which has everything up to `last_seq`: finals after it are due again.

        They come before all that was not handed out yet, in their order, behind what is put in front.
        """
        self.acknowledge(last_seq)
        self._landmarks = None  # where the signer was then
        again = [{name: value for name, value in event.items() if name != "seq"} for event in self._kept]
        self._kept.clear()
        self._queue.extendleft(reversed(again))
        # A connection that is lost and does not know it yet may still wait in `next`: it is left to wait there, or it
        # would take events that are for the new one.
        self._something = asyncio.Event()

    def next_seq(self) -> int:
        """A number for an event that does not go through the outbox: the last word before the end."""
        self._seq += 1
        return self._seq

    def put_first(self, event: Event) -> None:
        """Queue an event before all others."""
        self._queue.appendleft(event)
        self._something.set()

    @property
    def waiting(self) -> int:
        return len(self._queue) + (self._partial is not None) + (self._landmarks is not None)
