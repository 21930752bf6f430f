"""Rate limits of accounts, keys and addresses: in Redis, which several processes share, or in this process."""

from __future__ import annotations

import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from loguru import logger
from redis.exceptions import RedisError

from app.core.errors import TooManyRequests
from app.core.limits import RateLimit
from app.core.settings import Settings

#: Redis has this long to answer.
ANSWER_S = 1.0
#: Seconds between two removals of counters that nobody needs any more.
SWEEP_S = 10.0


class _Counters(MemoryStorage):
    """Those of this process. The library's own goes through all of them with every request, which takes milliseconds
    when many addresses have come; this one does so from time to time. For one event loop."""

    _swept_at = 0.0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self._sweep()
        await self.get(key)  # removes it, if it has expired
        self.storage[key] += amount
        if self.storage[key] == amount:
            self.expirations[key] = time.time() + expiry
        return self.storage[key]

    async def decr(self, key: str, amount: int = 1) -> int:
        await self.get(key)
        self.storage[key] = max(self.storage[key] - amount, 0)
        return self.storage[key]

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_at < SWEEP_S:
            return
        self._swept_at, now = time.monotonic(), time.time()
        for key in [key for key, until in self.expirations.items() if until <= now]:
            self.storage.pop(key, None)
            self.expirations.pop(key, None)


class RateLimits:
    """Counts over a sliding minute. Without an answer from Redis, this process counts for itself."""

    def __init__(self, settings: Settings) -> None:
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._sign_ins = RateLimitItemPerMinute(settings.sign_ins_per_minute)
        self._here = SlidingWindowCounterRateLimiter(_Counters())
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if settings.redis_url is not None:
            address = f"async+{settings.redis_url.get_secret_value()}"
            redis = RedisStorage(
                address,
                implementation="redispy",
                key_prefix="glossline",
                socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
            )
            self._shared = SlidingWindowCounterRateLimiter(redis)
        self._log = RateLimit(1, 1 / 60)

    async def request(self, who: str) -> None:
        """Count a request; who: as `Principal.limit_key`. Raises TooManyRequests."""
        await self._count(self._requests, "requests", "request", who)

    async def sign_in(self, who: str) -> None:
        """Count an attempt to sign in or to register, of an address or at an account. Raises TooManyRequests."""
        await self._count(self._sign_ins, "attempts", "sign-in", who)

    async def _count(self, limit: RateLimitItem, what: str, *names: str) -> None:
        if not await self._allowed(limit, names):
            raise TooManyRequests(f"More than {limit.amount} {what} a minute. Try again in a minute.")

    async def _allowed(self, limit: RateLimitItem, names: tuple[str, ...]) -> bool:
        if self._shared is not None:
            try:
                return await self._shared.hit(limit, *names)
            except (RedisError, OSError, TimeoutError) as problem:
                if self._log.allows():
                    logger.error("REDIS_URL does not answer ({}); each process counts for itself", problem)
        return await self._here.hit(limit, *names)
