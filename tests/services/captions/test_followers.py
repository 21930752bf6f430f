"""Who reads along: what they get, how many there may be, and when it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.errors import Busy
from app.services.captions import followers as module
from app.services.captions.events import Final, Partial
from app.services.captions.followers import Followers, follow_id
from tests.support.events import long_partial

SESSION = follow_id("s" * 32)


def final(segment: int) -> Final:
    return Final(**long_partial(segment, 9).model_dump(exclude={"type"}), reason="endpoint")


class Reader:
    """A follower with all it got so far."""

    def __init__(self, followers: Followers, session: str = SESSION, address: str | None = "192.0.2.1") -> None:
        self.got: list[Any] = []
        self.task = asyncio.ensure_future(self._read(followers, session, address))

    async def _read(self, followers: Followers, session: str, address: str | None) -> None:
        async for event in followers.follow(session, address):
            self.got.append(event)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < count:  # noqa: ASYNC110 - looks at state that has no event of its own
                await asyncio.sleep(0.01)


async def begun(followers: Followers, count: int) -> None:
    async with asyncio.timeout(20):
        while followers.count != count:  # noqa: ASYNC110 - looks at state that has no event of its own
            await asyncio.sleep(0.01)


async def test_all_who_follow_get_the_captions_of_their_session_alone() -> None:
    followers = Followers()
    readers = [Reader(followers), Reader(followers), Reader(followers, follow_id("t" * 32))]
    await begun(followers, 3)
    followers.publish(SESSION, final(0))
    followers.publish("0" * 64, final(1))  # whom nobody follows
    for reader in readers[:2]:
        await reader.until(1)
        assert [event.segment for event in reader.got] == [0]
    assert readers[2].got == []
    followers.close()
    async with asyncio.timeout(20):
        await asyncio.gather(*(reader.task for reader in readers))
    assert followers.count == 0
    assert not followers._outboxes
    assert not followers._addresses


async def test_who_does_not_read_gets_the_newest_partial_and_is_then_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    followers = Followers()
    stream = followers.follow(SESSION, None)
    coming = asyncio.ensure_future(anext(stream))
    await begun(followers, 1)
    for segment in range(3):
        followers.publish(SESSION, long_partial(segment, 9))
    newest = await coming
    assert isinstance(newest, Partial)
    for segment in range(module.MAX_QUEUED + 5):
        followers.publish(SESSION, final(segment))
    async with asyncio.timeout(20):
        rest = [event.segment async for event in stream if event is not None]
    assert rest[-1] < module.MAX_QUEUED + 5
    assert followers.count == 0


async def test_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.01)
    followers = Followers()
    reader = Reader(followers)
    await reader.until(2)
    assert reader.got[:2] == [None, None]
    reader.task.cancel()
    await asyncio.gather(reader.task, return_exceptions=True)
    assert followers.count == 0


@pytest.mark.parametrize(
    ("limit", "others"),
    [
        ("MAX_FOLLOWERS", [("t" * 32, "192.0.2.9"), ("u" * 32, None)]),
        ("MAX_OF_ONE", [("s" * 32, "192.0.2.9"), ("s" * 32, None)]),
        ("MAX_OF_ADDRESS", [("t" * 32, "192.0.2.1"), ("u" * 32, "192.0.2.1")]),
    ],
)
async def test_too_many(monkeypatch: pytest.MonkeyPatch, limit: str, others: list[tuple[str, str | None]]) -> None:
    monkeypatch.setattr(module, limit, 2)
    followers = Followers()
    readers = [Reader(followers, follow_id(secret), address) for secret, address in others]
    await begun(followers, 2)
    with pytest.raises(Busy):
        await anext(followers.follow(SESSION, "192.0.2.1"))
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)
    followers.check(SESSION, "192.0.2.1")
