"""Rate limits of accounts, keys and addresses: in Redis, which several processes share, or in this process."""

from __future__ import annotations

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


class RateLimits:
    """Counts over a sliding minute. Without an answer from Redis, this process counts for itself."""

    def __init__(self, settings: Settings) -> None:
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._sign_ins = RateLimitItemPerMinute(settings.sign_ins_per_minute)
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
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
