"""The credits of one live session of any kind: held ahead of it, recorded as it goes, settled when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from loguru import logger

from app.core.errors import DatabaseUnavailable, InsufficientCredits, NotFound, PlanLimit, ServiceError
from app.core.principal import Principal
from app.services.billing.credits import Credits, Reservation
from app.services.billing.ledger import Account
from app.services.billing.plans import Plan

#: Seconds between looks at what a session has used.
TICK_S = 1.0
#: Seconds of captions that are held in advance, and for which a session goes on if the database goes away.
AHEAD_S = 60.0
#: What was used is recorded after this many seconds of captions: as much is lost, to the service, if the process dies.
RECORD_S = 10.0
#: A session is warned when credits for this many seconds are left.
WARN_S = 60.0
#: Seconds for the last final of a session whose credits have run out.
LAST_S = 5.0
#: Seconds that a new session waits for another of its account to be settled, where that is in its way.
SETTLE_S = 5.0


class ChargedSession(Protocol):
    """What is needed of a session."""

    @property
    def id(self) -> str: ...
    @property
    def used_s(self) -> float:
        """Seconds of captions so far."""
        ...

    @property
    def failed(self) -> ServiceError | None: ...
    def warn(self, code: str, message: str) -> None: ...
    async def end(self, last: None, problem: ServiceError, timeout_s: float) -> None: ...


async def hold(credits: Credits, principal: Principal, check: Callable[[Account], None]) -> Reservation:
    """Credits for the beginning of a session. Where the account may have no more at once, sessions that their clients
    have lost make room, and those that are being settled are waited for, of whatever kind they are. check: raises what
    the plan does not allow. Raises InsufficientCredits, PlanLimit, NotFound, DatabaseUnavailable."""

    async def reserve() -> Reservation:
        return await credits.reserve(principal, AHEAD_S, "live", at_least=1.0, check=check)

    try:
        return await reserve()
    except PlanLimit as problem:
        if problem.extra.get("limit") != "concurrent_sessions":
            raise
        settling = credits.settling(principal.user_id)
        lost = [task for drop in credits.drop_lost for task in await drop(principal)]
        if not lost and not settling:
            raise
        if lost:
            await asyncio.wait(lost)
        if settling:  # such as the session that the `start` of a Socket.IO client replaces
            await asyncio.wait(settling, timeout=SETTLE_S)
        return await reserve()


class LiveCharge:
    """Runs from its creation until `close`. Use from one event loop."""

    def __init__(self, credits: Credits, reservation: Reservation, plan: Plan, session: ChargedSession) -> None:
        self._credits, self._reservation, self._session = credits, reservation, session
        self.plan = plan
        self._recorded_s = 0.0
        self._warned = False
        self._settling: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name=f"credits-{session.id}")

    @property
    def credits_remaining(self) -> float:
        """What the user has left, without what this session has used so far."""
        held = self._reservation.amount + self._reservation.available
        used_s = self._session.used_s - self._reservation.settled_s
        return float(max(0, held - self._credits.plans.credits("live", used_s)))

    @property
    def payable_s(self) -> float:
        """Up to how many seconds the session can be paid, as far as is known."""
        return self._held_s + self._beside_s

    @property
    def _held_s(self) -> float:
        """Seconds of the session that are held."""
        return self._reservation.settled_s + self._credits.plans.seconds("live", self._reservation.amount)

    @property
    def _beside_s(self) -> float:
        """Seconds that could be held beside them."""
        beside_s = self._credits.plans.seconds("live", self._reservation.available)
        return max(0.0, min(beside_s, self._reservation.today_left_s))

    def close(self) -> asyncio.Task[None]:
        """Settle for what was used, in the background: the database may take its time, or be away."""
        if self._settling is None:
            self._settling = self._credits.in_background(self._settle(), self._reservation.user_id)
        return self._settling

    async def _settle(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._credits.finish(self._reservation, self._session.used_s)

    async def _run(self) -> None:
        while self._session.failed is None:
            try:
                await self._tick()
            except Exception:  # noqa: BLE001 - the session goes on, and is settled in the end
                logger.exception("the credits of live session {} could not be looked at", self._session.id)
            await asyncio.sleep(TICK_S)

    async def _tick(self) -> None:
        used_s = self._session.used_s
        short = self._held_s - used_s < AHEAD_S / 2 and self._beside_s > 0
        spent = used_s >= self.payable_s
        if used_s - self._recorded_s >= RECORD_S or short or spent:
            try:
                await self._credits.keep(self._reservation, used_s, AHEAD_S)
                self._recorded_s = used_s
            except DatabaseUnavailable as problem:
                if used_s > self._held_s + AHEAD_S:
                    await self._session.end(None, problem, LAST_S)
                return
            except NotFound as problem:
                await self._session.end(None, problem, LAST_S)
                return
        left_s = self.payable_s - self._session.used_s
        if left_s <= 0:
            await self._session.end(None, self._refusal(), LAST_S)
        elif left_s > 2 * WARN_S:
            self._warned = False
        elif left_s <= WARN_S and not self._warned:
            self._warned = True
            self._session.warn("credits_low", self._warning(left_s))

    @property
    def _day_is_used(self) -> bool:
        return self._reservation.available > 0

    def _warning(self, left_s: float) -> str:
        if self._day_is_used:
            return f"The plan {self.plan.title} allows {left_s:.0f} more seconds today; then the session ends."
        return f"There are credits for {left_s:.0f} more seconds; then the session ends."

    def _refusal(self) -> ServiceError:
        if self._day_is_used:
            minutes = self.plan.minutes_a_day
            return PlanLimit(
                f"The {minutes:g} minutes a day of the plan {self.plan.title} are used up until midnight (UTC).",
                limit="minutes_a_day",
            )
        return InsufficientCredits(
            "The credits are used up. They come with each month; a larger plan has more (GET /api/billing/plans).",
            needed=1,
            available=0,
            missing=1,
        )
