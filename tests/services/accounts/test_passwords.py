from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.core.errors import Busy
from app.services.accounts import passwords
from app.services.accounts.passwords import Passwords


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passwords]:
    """With the parameters of the service, not the quick ones of other tests."""
    monkeypatch.setattr(passwords, "Argon2Hasher", Argon2Hasher)
    made = Passwords()
    yield made
    made.close()


async def test_hashes_are_argon2id_and_each_has_its_own_salt(hashes: Passwords) -> None:
    one, two = await asyncio.gather(hashes.hash("seven quiet herons"), hashes.hash("seven quiet herons"))
    assert one != two
    assert one.startswith("$argon2id$")
    assert await hashes.matches("seven quiet herons", one) == (True, None)
    assert await hashes.matches("seven quiet herons.", one) == (False, None)
    assert await hashes.matches("seven quiet herons", None) == (False, None)
    assert await hashes.matches("seven quiet herons", "no hash") == (False, None)


async def test_a_hash_with_weaker_parameters_is_replaced(hashes: Passwords) -> None:
    weak = "$argon2id$v=19$m=8192,t=1,p=1$"
    old = Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1).hash("seven quiet herons")
    assert old.startswith(weak)
    matches, better = await hashes.matches("seven quiet herons", old)
    assert matches
    assert better is not None
    assert not better.startswith(weak)


async def test_many_at_once_wait_beside_the_event_loop_and_too_many_are_refused(hashes: Passwords) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    beating = asyncio.create_task(beat())
    outcomes = await asyncio.gather(
        *(hashes.matches("x", None) for _ in range(passwords.WAITING + 5)), return_exceptions=True
    )
    beating.cancel()
    assert sum(isinstance(outcome, Busy) for outcome in outcomes) == 5
    assert sum(outcome == (False, None) for outcome in outcomes) == passwords.WAITING
    assert beats > 20  # the loop went on meanwhile
