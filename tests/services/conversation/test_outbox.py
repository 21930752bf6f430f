from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import SlowReader
from app.services.conversation.events import Closing, Event, Pong, Ready
from app.services.conversation.outbox import Outbox


class Final(Event):
    type: str = "final"
    clears: ClassVar[tuple[int, ...]] = (0,)
    kept: ClassVar[bool] = True
    segment: int


class Partial(Event):
    type: str = "partial"
    slot: ClassVar[int | None] = 0
    number: int = 0


class Landmarks(Event):
    type: str = "landmarks"
    slot: ClassVar[int | None] = 1
    outlives_connection: ClassVar[bool] = False
    number: int = 0


def final(segment: int) -> Final:
    return Final(segment=segment)


async def everything(outbox: Outbox) -> list[Any]:
    return [await outbox.next() for _ in range(outbox.waiting)]


def test_only_the_newest_partial_is_sent() -> None:
    async def run() -> None:
        outbox = Outbox()
        for revision in range(1000):
            outbox.put(Partial(number=revision))
        assert outbox.waiting == 1
        assert (await everything(outbox))[0].number == 999

    asyncio.run(run())


def test_after_the_last_event_come_no_partials() -> None:
    async def run() -> None:
        outbox = Outbox()
        outbox.put(final(0))
        outbox.put(Partial())
        outbox.put(Landmarks())
        outbox.put_last(Closing())
        outbox.put(Partial())
        outbox.put(Landmarks())
        assert [e.type for e in await everything(outbox)] == ["final", "closing"]

    asyncio.run(run())


def test_a_final_takes_the_partial_of_its_sentence_away() -> None:
    async def run() -> None:
        outbox = Outbox()
        outbox.put(Partial())
        outbox.put(final(0))
        assert [e.type for e in await everything(outbox)] == ["final"]

    asyncio.run(run())


def test_only_the_newest_landmarks_are_sent_behind_everything_else_and_never_again() -> None:
    async def run() -> None:
        outbox = Outbox(max_queued=1)
        for at_ms in range(1000):
            outbox.put(Landmarks(number=at_ms))
        outbox.put(Partial())
        outbox.put(Pong())
        assert outbox.waiting == 3
        assert [e.type for e in await everything(outbox)] == ["pong", "partial", "landmarks"]
        outbox.put(Landmarks(number=1000))
        outbox.reconnect(0)
        assert outbox.waiting == 0

    asyncio.run(run())


def test_a_client_that_does_not_read_is_noticed() -> None:
    outbox = Outbox(max_queued=3)
    for segment in range(3):
        outbox.put(final(segment))
    with pytest.raises(SlowReader):
        outbox.put(final(3))
    assert outbox.waiting == 3


@given(st.lists(st.sampled_from(["put", "show", "send", "lose"]), max_size=80), st.data())
def test_no_final_is_lost_and_none_comes_twice(moves: list[str], data: st.DataObject) -> None:
    """What is sent may arrive or not; after a lost connection the client says what it has."""

    async def run() -> None:
        outbox, made, last_seq, lost = Outbox(), 0, 0, False
        got: list[int] = []
        for move in moves:
            if move == "put":
                outbox.put(final(made))
                made += 1
            elif move == "show":
                outbox.put(Landmarks())
            elif move == "lose":
                outbox.reconnect(last_seq)
                lost = False
            elif outbox.waiting:
                event: Any = await outbox.next()
                # A broken connection loses everything behind the first loss, never something in between.
                lost = lost or data.draw(st.booleans(), "lost")
                if not lost:
                    assert event.seq > last_seq
                    last_seq = event.seq
                    got += [event.segment] if event.type == "final" else []
        outbox.reconnect(last_seq)
        got += [event.segment for event in await everything(outbox)]
        assert got == list(range(made))

    asyncio.run(run())


def test_a_lost_connection_that_still_waits_takes_nothing_from_the_next_one() -> None:
    async def run() -> None:
        outbox = Outbox()
        lost = asyncio.ensure_future(outbox.next())
        await asyncio.sleep(0)
        outbox.reconnect(0)
        outbox.put_first(Ready(session_id="1", resume_token="t"))
        outbox.put(final(0))
        await asyncio.sleep(0)
        assert [event.type for event in await everything(outbox)] == ["ready", "final"]
        assert not lost.done()
        lost.cancel()

    asyncio.run(run())
