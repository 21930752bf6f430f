from __future__ import annotations

import asyncio
import time

import pytest

from app.core.errors import Busy
from app.core.limits import ConcurrencyLimit, Place, Places


def test_the_next_one_is_told_busy_and_a_place_comes_back() -> None:
    gate = ConcurrencyLimit(2, "requests", retry_after_s=3)
    with gate.enter(), gate.enter():
        assert gate.full
        with pytest.raises(Busy) as caught, gate.enter():
            pass
        assert caught.value.headers == {"Retry-After": "3"}
        assert gate.in_use == 2
    assert gate.in_use == 0


def test_a_place_comes_back_after_a_fault() -> None:
    gate = ConcurrencyLimit(1, "requests")
    with pytest.raises(ZeroDivisionError), gate.enter():
        _ = 1 / 0
    assert not gate.full


async def test_the_address_with_most_places_gives_up_its_oldest_that_is_not_at_work() -> None:
    places = Places(3, "clips", lambda place: Busy(place.address), min_age_s=0.05)
    ended: list[str] = []
    started = asyncio.Queue[str]()

    async def call(name: str, address: str, settled: bool = False) -> None:
        try:
            async with places.hold(address) as place:
                place.settled = settled
                started.put_nowait(name)
                await asyncio.sleep(60)
        except Busy:
            ended.append(name)

    tasks = []
    for name, address, settled in (("worker", "a", True), ("old", "a", False), ("other", "b", False)):
        tasks.append(asyncio.create_task(call(name, address, settled)))
        await started.get()
    await asyncio.create_task(call("too early", "c"))
    assert ended == ["too early"]
    await asyncio.sleep(0.1)
    tasks.append(asyncio.create_task(call("late", "c")))
    assert await started.get() == "late"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ended == ["too early", "old"]
    assert len(places.taken) == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(places.taken) == 0


@pytest.mark.parametrize(
    ("addresses", "kb_s", "leaves"),
    [("aabcd", 1, "a"), ("abcde", 1, None), ("abcde", 1000, "slowest")],
    ids=["more than a quarter", "a fifth each and fast enough", "too slow"],
)
async def test_the_one_that_makes_room_is_slow_or_of_an_address_that_holds_much(
    addresses: str, kb_s: float, leaves: str | None
) -> None:
    places = Places(5, "uploads", lambda place: Busy(place.address), min_kb_s=kb_s, min_age_s=0)
    held: list[Place] = []

    async def upload(address: str) -> None:
        async with places.hold(address) as place:
            place.received = (len(held) + 1) << 20
            held.append(place)
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(upload(address)) for address in addresses]
    while len(held) < 5:  # noqa: ASYNC110 - no event of its own
        await asyncio.sleep(0)
    for place in held:
        place.began = time.monotonic() - 10  # 100 to 500 KiB a second
    if leaves is None:
        with pytest.raises(Busy):
            await upload("z")
        assert places.taken == set(held)
    else:
        tasks.append(asyncio.create_task(upload("z")))
        async with asyncio.timeout(20):
            while len(held) < 6:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0)
        (gone,) = set(held) - places.taken
        assert gone is held[0]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
