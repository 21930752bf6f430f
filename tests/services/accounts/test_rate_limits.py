"""Rate limits, in this process and in a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from limits.aio.storage import MemoryStorage
from pydantic import SecretStr

from app.core.errors import TooManyRequests
from app.core.settings import Settings
from app.services.accounts import rate_limits
from app.services.accounts.rate_limits import RateLimits
from tests.support.accounts import client_of, guarded, key_of, person, running
from tests.support.problems import assert_problem
from tests.support.redis_server import redis_server


@pytest.fixture(autouse=True)
def _one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are weighted by how far the minute has gone, so one more fits where a test runs over the end of one."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def allowed(limits: RateLimits, who: str, tries: int) -> int:
    """How many of so many tries were."""

    async def one() -> bool:
        try:
            await limits.request(who)
        except TooManyRequests:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(tries))))


async def test_each_has_a_limit_of_its_own(tiny_settings: Settings) -> None:
    limits = RateLimits(tiny_settings.model_copy(update={"requests_per_minute": 5, "sign_ins_per_minute": 2}))
    assert await allowed(limits, "user/1", 8) == 5
    assert await allowed(limits, "user/2", 8) == 5
    for _ in range(2):
        await limits.sign_in("user/1")
    with pytest.raises(TooManyRequests) as refused:
        await limits.sign_in("user/1")
    assert refused.value.headers["Retry-After"] == "60"


async def test_counters_that_nobody_needs_are_removed(tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = RateLimits(tiny_settings)
    for n in range(500):
        await limits.request(f"address/{n}")
    counters = limits._here.storage
    assert isinstance(counters, MemoryStorage)
    assert len(counters.storage) == 500
    later = time.time() + 300
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(rate_limits, "SWEEP_S", 0.0)
    await limits.request("address/0")
    assert len(counters.storage) == len(counters.expirations) == 1
    assert len(counters.locks) <= 1


async def test_with_redis_several_processes_count_together(tiny_settings: Settings, redis_url: str) -> None:
    changes: dict[str, Any] = {"requests_per_minute": 10, "redis_url": SecretStr(redis_url)}
    processes = [RateLimits(tiny_settings.model_copy(update=changes)) for _ in range(3)]
    assert sum(await asyncio.gather(*(allowed(limits, "user/1", 8) for limits in processes))) == 10
    assert await allowed(processes[0], "user/2", 1) == 1


async def test_without_an_answer_of_redis_each_process_counts_for_itself(tiny_settings: Settings) -> None:
    changes: dict[str, Any] = {"requests_per_minute": 3, "redis_url": SecretStr("redis://127.0.0.1:1")}
    limits = RateLimits(tiny_settings.model_copy(update=changes))
    assert await allowed(limits, "user/1", 6) == 3


async def test_accounts_keys_and_addresses_are_limited_at_the_door(tiny_settings: Settings, database_url: str) -> None:
    settings = guarded(tiny_settings, database_url, requests_per_minute=5, sign_ins_per_minute=3)
    async with running(settings) as app, client_of(app) as client, client_of(app, "192.0.2.8") as elsewhere:
        ann = await person(app)
        key = await key_of(app, ann, "captions")  # one of her five
        for _ in range(4):
            assert (await client.get("/api/labels", headers={"X-API-Key": key})).status_code == 200
        for headers in ({"X-API-Key": key}, ann.headers):  # of one account: more keys are not more requests
            answer = await client.get("/api/labels", headers=headers)
            assert_problem(answer, 429, "too_many_requests")
            assert answer.headers["retry-after"] == "60"
        for _ in range(5):
            assert_problem(await client.get("/api/labels"), 401, "unauthenticated")
        assert_problem(await client.get("/api/labels", headers={"X-API-Key": "gl_x"}), 429, "too_many_requests")
        assert_problem(await elsewhere.get("/api/labels"), 401, "unauthenticated")
        body = {"email": "nobody@example.org", "password": "x"}
        for n in range(3):
            mail = {"email": f"nobody-{n}@example.org"}
            assert_problem(await client.post("/api/auth/sign-in", json=body | mail), 401, "bad_credentials")
        assert_problem(await client.post("/api/auth/sign-in", json=body), 429, "too_many_requests")
        # And at one account, from wherever; `Person` had one attempt.
        for n in range(2):
            async with client_of(app, f"198.51.100.{n}") as other:
                answer = await other.post("/api/auth/sign-in", json={"email": ann.email.upper(), "password": "x"})
                assert_problem(answer, 401, "bad_credentials")
        answer = await elsewhere.post("/api/auth/sign-in", json={"email": ann.email, "password": "x"})
        assert_problem(answer, 429, "too_many_requests")
        # IPv6: a household has a whole /64.
        for n in range(4):
            async with client_of(app, f"2001:db8::{n + 1}") as other:
                answer = await other.post("/api/auth/sign-in", json=body | {"email": f"b-{n}@example.org"})
                assert answer.status_code == (401 if n < 3 else 429)
