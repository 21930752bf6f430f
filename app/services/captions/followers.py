"""Who reads the captions of live sessions beside their clients, such as OBS or a second screen. A client sends a secret
with `start`; its hash is the id by which others follow, so that who follows cannot caption in the client's name."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from app.core.errors import Busy, SlowReader
from app.core.network import address_key
from app.services.captions.events import Final, Partial
from app.services.conversation.outbox import Outbox

#: Followers at once: in all, of one id, and from one address.
MAX_FOLLOWERS, MAX_OF_ONE, MAX_OF_ADDRESS = 256, 16, 16
#: Finals that may wait for a follower; one that does not read is disconnected.
MAX_QUEUED = 32
#: Seconds without a caption after which a follower gets None, because proxies close idle connections.
SILENCE_S = 15.0


def follow_id(secret: str) -> str:
    """The id of sessions whose client sends this secret: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Followers:
    """Not thread-safe; use from one event loop. A follower may come before the session, and stays for the next one."""

    def __init__(self) -> None:
        self._outboxes: defaultdict[str, set[Outbox]] = defaultdict(set)
        self._addresses: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self.count = 0

    def publish(self, session: str, event: Partial | Final) -> None:
        """Send a caption to all who follow this id."""
        for outbox in list(self._outboxes.get(session, ())):
            try:
                outbox.put(event)
            except SlowReader:
                self._outboxes[session].discard(outbox)

    def check(self, session: str, address: str | None) -> None:
        """Raise Busy where one more would be too many."""
        mine = 0 if address is None else self._addresses[address_key(address)]
        of_one = len(self._outboxes.get(session, ()))
        if self.count >= MAX_FOLLOWERS or of_one >= MAX_OF_ONE or mine >= MAX_OF_ADDRESS:
            raise Busy("Too many read along already. Close some of the pages that show these captions.")

    async def follow(self, session: str, address: str | None) -> AsyncIterator[Partial | Final | None]:
        """Captions of the sessions with this id as they come, until the service ends or the follower does not read.
        None: still there. Raises Busy."""
        with self._place(session, address) as outbox:
            ended = asyncio.ensure_future(self._closing.wait())
            coming = asyncio.ensure_future(outbox.next())
            try:
                while True:
                    await asyncio.wait({coming, ended}, timeout=SILENCE_S, return_when=asyncio.FIRST_COMPLETED)
                    if coming.done():
                        event = coming.result()
                        coming = asyncio.ensure_future(outbox.next())
                        assert isinstance(event, Partial | Final)
                        yield event
                    elif ended.done() or outbox not in self._outboxes[session]:
                        return
                    else:
                        yield None
            finally:
                for task in (coming, ended):
                    task.cancel()
                await asyncio.gather(coming, ended, return_exceptions=True)

    @contextmanager
    def _place(self, session: str, address: str | None) -> Iterator[Outbox]:
        self.check(session, address)
        outbox, key = Outbox(MAX_QUEUED), None if address is None else address_key(address)
        self._outboxes[session].add(outbox)
        self.count += 1
        if key is not None:
            self._addresses[key] += 1
        try:
            yield outbox
        finally:
            self.count -= 1
            self._outboxes[session].discard(outbox)
            if not self._outboxes[session]:
                del self._outboxes[session]
            if key is not None:
                self._addresses[key] -= 1
                self._addresses += Counter()  # drops those at zero

    def close(self) -> None:
        """End all of them; the service shuts down."""
        self._closing.set()
