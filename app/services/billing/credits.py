"""Credits for the rest of the service: reserve before work begins, then settle for what was used, or release.

Anonymous use and AUTH_MODE=open are free: nothing is stored then. Nothing is lost or spent twice if a process dies or
the database goes away in between: what is open is closed later, for what is known to be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

from loguru import logger
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DatabaseUnavailable, InsufficientCredits, NotFound, PlanLimit, VideoTooLong
from app.core.principal import Principal
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.credits import ReservationRow
from app.monitoring.metrics import Metrics
from app.services.billing import idempotency, ledger, reservations
from app.services.billing.idempotency import Answer, Key
from app.services.billing.ledger import Account
from app.services.billing.plans import Kind, Plan, Plans
from app.services.billing.reservations import Debit

#: Seconds between heartbeats, which also close what could not be closed before.
BEAT_S = 5.0
#: Beats between looks for reservations of dead processes, and between checks that the ledger adds up.
RECOVER_BEATS, CHECK_BEATS = 6, 60
#: Beats between removals of old rows.
PURGE_BEATS = 720
#: A transaction about credits that takes longer than this many seconds means that the database does not answer.
TRANSACTION_S = 30.0
#: Transactions about credits at once: the rest of the service needs connections too.
TRANSACTIONS = 8

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Reservation:
    """Credits set aside for one clip or live session."""

    user_id: UUID | None
    """None: free of charge."""
    kind: Kind
    id: UUID = field(default_factory=uuid4)
    amount: int = 0
    """Credits it holds."""
    available: int = 0
    """Credits of the user beside them, when it was last changed."""
    today_left_s: float = 0.0
    """Seconds that the plan allowed beside them today, likewise."""
    settled_s: float = 0.0
    """Seconds that were settled with an earlier reservation of the same session."""
    plan: Plan | None = None
    """Of the user, when it was made; None: free of charge."""
    keyed: bool = False
    """Whether its request has an Idempotency-Key."""
    replayed: Answer | None = None
    """The answer that a request with this Idempotency-Key got before: nothing is to be done or paid."""

    @property
    def free(self) -> bool:
        return self.user_id is None


@dataclass(eq=False, slots=True)
class ClipCharge:
    """What one clip costs, while it is worked on."""

    replayed: Answer | None
    """The answer that the request got before, whose Idempotency-Key it carries: there is nothing to do."""
    limit_s: float
    """The longest clip that can be paid."""
    used_s: float = 0.0
    """To be set: what was used, in seconds of the clip."""
    answer: Answer | None = None
    """To be set where the request has an Idempotency-Key."""


class Credits:
    """One per process of the service; use from one event loop, between `start` and `close`."""

    def __init__(self, settings: Settings, database: Database | None, plans: Plans, metrics: Metrics) -> None:
        self.plans = plans
        self.charging = settings.auth_mode == "required" and database is not None
        """Whether accounts pay."""
        self._database, self._metrics = database, metrics
        self._owner = reservations.this_process()
        self._unclosed: dict[UUID, tuple[Reservation, float]] = {}
        self.drop_lost: list[Callable[[Principal], Awaitable[Sequence[asyncio.Task[None]]]]] = []
        """Of each kind of live session: ends those of an account that their clients have lost, and returns what settles
        them."""
        self._closing: dict[asyncio.Task[Any], UUID | None] = {}  # and whose session is settled, if one is
        self._beating: asyncio.Task[None] | None = None
        self._beats_since = 0.0  # when an unbroken row of heartbeats began (monotonic)
        self._held: dict[UUID, int] = {}
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(TRANSACTIONS)
        metrics.before_reading(lambda: metrics.credits_reserved.set(sum(self._held.values())))

    @property
    def database(self) -> Database:
        """Where there is one."""
        assert self._database is not None, "credits need a database"
        return self._database

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Close what processes of this machine that died have left open, and begin the heartbeats."""
        if not self.charging:
            return
        with contextlib.suppress(DatabaseUnavailable):
            await self.recover(others_too=False)
        self._beating = asyncio.create_task(self._beat(), name="credits")

    async def close(self) -> None:
        """Return when what is being settled is settled."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        await self._close_the_unclosed()
        if self._unclosed:
            logger.error(
                "{} reservations of credits could not be closed; the next start of the service does it for what is "
                "known to be used",
                len(self._unclosed),
            )

    async def _beat(self) -> None:
        beats = 0
        while True:
            try:
                await self._one_beat(beats)
            except DatabaseUnavailable:
                self._beats_since = 0.0
            except Exception:  # noqa: BLE001 - the next beat must come, whatever this one met
                logger.exception("a check of the credits failed")
            beats += 1
            await asyncio.sleep(BEAT_S)

    async def _one_beat(self, beats: int) -> None:
        async with self.database.session() as session:
            await reservations.touch(session, self._owner)
        self._beats_since = self._beats_since or time.monotonic()
        await self._close_the_unclosed()
        if beats % RECOVER_BEATS == 0:
            # After an outage of the database others come back too: not before they have had time to say so.
            await self.recover(others_too=time.monotonic() - self._beats_since > reservations.AWAY_S)
        if beats % CHECK_BEATS == 0:
            await self.check()
        if beats % PURGE_BEATS == 0:
            async with self.database.session() as session:
                await reservations.purge(session)

    async def recover(self, others_too: bool) -> int:
        """Close the reservations of dead processes for what is known to be used; returns how many. Raises
        DatabaseUnavailable."""
        async with self.database.session() as session:
            found = await reservations.abandoned(session, self._owner, others_too)
        for reservation_id, user_id in found:
            async with self.locked(user_id) as session:
                row = await reservations.get_open(session, reservation_id)
                if row is not None:
                    debit = await reservations.close(session, row, row.used_s, self.plans)
                    self._metrics.credits_debited.labels(row.kind).inc(debit.debited)
                    logger.warning(
                        "a reservation of a process that died was closed: {} credits debited, {} given back",
                        debit.debited,
                        max(0, row.amount - debit.debited),
                    )
        return len(found)

    async def check(self) -> int:
        """Number of accounts that do not add up, which goes to the metrics too. Raises DatabaseUnavailable."""
        async with self.database.session() as session:
            wrong = await ledger.wrong_accounts(session)
            for plan, number in (await ledger.accounts_by_plan(session, self.plans)).items():
                self._metrics.accounts.labels(plan).set(number)
        self._metrics.credits_wrong_accounts.set(wrong)
        if wrong:
            logger.error("the ledger of {} accounts does not add up", wrong)
        return wrong

    @contextlib.asynccontextmanager
    async def locked(self, user_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction about this user's credits, one at a time. Within the process they wait here, not on
        connections, which others need. Raises DatabaseUnavailable."""
        mine = self._locks.setdefault(user_id, asyncio.Lock())
        async with mine, self._places, self.database.session() as session, asyncio.timeout(TRANSACTION_S):
            await ledger.lock(session, user_id)
            yield session

    # -- before work --------------------------------------------------------------------------------------------------

    def charges(self, principal: Principal | None) -> bool:
        """Whether this costs somebody credits."""
        return self.charging and principal is not None and principal.user_id is not None

    def price(self, principal: Principal | None, kind: Kind, seconds: float) -> int:
        """Credits that this costs them; 0 where nothing is charged."""
        return self.plans.credits(kind, seconds) if self.charges(principal) else 0

    async def check_keys(self, principal: Principal | None, keys: Collection[Key]) -> None:
        """Before a request with several parts (`idempotency.parts`). Raises IdempotencyMismatch,
        IdempotencyInProgress, DatabaseUnavailable."""
        if keys and principal is not None and principal.user_id is not None and self.charges(principal):
            async with self.database.session() as session:
                await idempotency.check(session, principal.user_id, keys)

    async def account(self, principal: Principal | None) -> Account | None:
        """What the account has and may; None where nothing is charged. Raises NotFound, DatabaseUnavailable."""
        if principal is None or principal.user_id is None or not self.charges(principal):
            return None
        return await self.account_of(principal.user_id)

    async def account_of(self, user_id: UUID) -> Account:
        """Raises NotFound, DatabaseUnavailable."""
        async with self.locked(user_id) as session:
            return await ledger.account(session, user_id, self.plans)

    async def reserve(
        self,
        principal: Principal | None,
        seconds: float,
        kind: Kind,
        at_least: float | None = None,
        key: Key | None = None,
        check: Callable[[Account], None] = lambda account: None,
    ) -> Reservation:
        """Set credits aside for this many seconds; if there are fewer, for as many as there are, but for `at_least`
        (default: all). key: of an idempotent request. check: raises what the plan does not allow. Raises
        InsufficientCredits, PlanLimit, IdempotencyMismatch, IdempotencyInProgress, NotFound, DatabaseUnavailable."""
        if principal is None or principal.user_id is None or not self.charges(principal):
            return Reservation(None, kind)
        reservation = Reservation(principal.user_id, kind)
        at_least = seconds if at_least is None else at_least
        async with self.locked(principal.user_id) as session:
            account = await ledger.account(session, principal.user_id, self.plans)
            if key is not None:
                reservation.keyed = True
                known = await idempotency.claim(session, principal.user_id, key, reservation.id)
                if known is not None:
                    reservation.replayed, reservation.user_id = known, None
                    return reservation
            check(account)
            self._check(account, kind, at_least)
            wanted = self.plans.credits(kind, min(seconds, max(account.today_left_s, at_least)))
            reservation.amount, reservation.plan = min(wanted, account.available), account.plan
            self._note(reservation, account, reservation.amount)
            session.add(
                ReservationRow(
                    id=reservation.id,
                    user_id=principal.user_id,
                    kind=kind,
                    amount=reservation.amount,
                    owner=self._owner,
                )
            )
        self._held[reservation.id] = reservation.amount
        return reservation

    @contextlib.asynccontextmanager
    async def clip(
        self,
        principal: Principal | None,
        seconds: float | None,
        longest_s: float,
        key: Key | None = None,
        check: Callable[[Account], None] = lambda account: None,
    ) -> AsyncIterator[ClipCharge]:
        """Around the work for one clip: settled when the block ends well, else released. seconds: its length as far as
        it is known. longest_s: the longest clip that the service takes. Raises as `reserve` does, and
        InsufficientCredits for a clip that turns out to be longer than can be paid, at the end of the block too."""
        if seconds is None:
            reservation = await self.reserve(principal, longest_s, "clip", 1.0, key, check)
        else:
            reservation = await self.reserve(principal, min(seconds, longest_s), "clip", key=key, check=check)
        limit_s = longest_s
        if not reservation.free:
            held_s = self.plans.seconds("clip", reservation.amount)
            beside_s = min(self.plans.seconds("clip", reservation.available), reservation.today_left_s)
            limit_s = min(longest_s, held_s + max(0.0, beside_s))
        charge = ClipCharge(reservation.replayed, limit_s)
        try:
            yield charge
            debit = await self.settle(reservation, charge.used_s, charge.answer)
        except VideoTooLong:
            await self.release(reservation)
            if limit_s < longest_s:
                raise self._longer_than_paid(limit_s) from None
            raise
        except BaseException:
            await self.release(reservation)
            raise
        if debit.missing:
            self._metrics.credits_refused.inc()
            raise insufficient(debit.debited + debit.missing, debit.debited, "clip")

    def _longer_than_paid(self, limit_s: float) -> InsufficientCredits:
        self._metrics.credits_refused.inc()
        available = self.plans.credits("clip", limit_s)
        return InsufficientCredits(
            f"The clip is longer than the {limit_s:g} s that your credits, or the minutes that your plan allows a day, "
            "pay for. GET /api/billing/usage shows them.",
            needed=available + 1,
            available=available,
            missing=1,
        )

    def _check(self, account: Account, kind: Kind, seconds: float) -> None:
        """Raises PlanLimit or InsufficientCredits unless this much may begin now."""
        plan = account.plan
        if kind == "live" and account.sessions >= plan.concurrent_sessions:
            raise PlanLimit(
                f"The plan {plan.title} allows {plan.concurrent_sessions} live sessions at once, and "
                f"{account.sessions} are open.",
                limit="concurrent_sessions",
            )
        if seconds > account.today_left_s + 1e-6:
            raise self.day_is_used(account)
        needed = self.plans.credits(kind, seconds)
        if needed > account.available:
            self._metrics.credits_refused.inc()
            raise insufficient(needed, account.available, kind)

    def day_is_used(self, account: Account) -> PlanLimit:
        """The refusal of an account that has used what its plan allows on one day."""
        plan = account.plan
        return PlanLimit(
            f"The plan {plan.title} allows {plan.minutes_a_day:g} minutes a day; {account.today_left_s / 60:.1f} are "
            "left until midnight (UTC).",
            limit="minutes_a_day",
        )

    def _note(self, reservation: Reservation, account: Account, more: int) -> None:
        """Remember what is left beside a reservation that has just got `more` credits."""
        reservation.available = account.available - more
        reservation.today_left_s = account.today_left_s - self.plans.seconds(reservation.kind, more)

    # -- during work --------------------------------------------------------------------------------------------------

    async def keep(self, reservation: Reservation, used_s: float, ahead_s: float) -> None:
        """Record what a live session has used so far, and hold credits for `ahead_s` more seconds, or for as many as
        there are. Raises NotFound for a user who is gone, DatabaseUnavailable."""
        if reservation.user_id is None:
            return
        async with self.locked(reservation.user_id) as session:
            account = await ledger.account(session, reservation.user_id, self.plans)
            row = await reservations.get_open(session, reservation.id)
            if row is None:
                row = await self._again(session, reservation)
            row.used_s = used_s - reservation.settled_s
            wanted = self.plans.credits(reservation.kind, row.used_s + ahead_s) - row.amount
            today = int(account.today_left_s * self.plans.credits(reservation.kind, 1000) / 1000)
            more = max(0, min(wanted, account.available, today))
            row.amount += more
            self._note(reservation, account, more)
            reservation.amount = row.amount
        self._held[reservation.id] = reservation.amount

    async def _again(self, session: AsyncSession, reservation: Reservation) -> ReservationRow:
        """A new reservation for a session whose own was closed by another process, which took this one for dead."""
        closed = await session.get(ReservationRow, reservation.id)
        self._held.pop(reservation.id, None)
        reservation.settled_s += closed.used_s if closed is not None else 0.0
        reservation.id = uuid4()
        row = ReservationRow(
            id=reservation.id, user_id=reservation.user_id, kind=reservation.kind, amount=0, owner=self._owner
        )
        session.add(row)
        await session.flush()
        return row

    # -- after work ---------------------------------------------------------------------------------------------------

    async def settle(self, reservation: Reservation, seconds: float, answer: Answer | None = None) -> Debit:
        """Debit what was used, at most what there is, and give back the rest. answer: kept for the key of the request,
        in the same transaction. A reservation is settled once. Raises DatabaseUnavailable; try again then, or `close`
        it. Cancelling the call does not stop it."""
        if reservation.user_id is None:
            return Debit(0, 0, 0)
        return await self._shielded(self._settle(reservation, reservation.user_id, seconds, answer))

    async def _settle(self, reservation: Reservation, user_id: UUID, seconds: float, answer: Answer | None) -> Debit:
        debit = Debit(0, 0, 0)
        async with self.locked(user_id) as session:
            row = await reservations.get_open(session, reservation.id)
            if row is not None:
                with contextlib.suppress(NotFound):  # the user was deleted, and the reservation with it
                    debit = await reservations.close(session, row, seconds - reservation.settled_s, self.plans)
                if reservation.keyed and answer is not None and not debit.missing:
                    await idempotency.keep(session, reservation.id, answer)
                elif reservation.keyed:
                    await idempotency.forget(session, reservation.id)
        self._held.pop(reservation.id, None)
        self._unclosed.pop(reservation.id, None)
        self._metrics.credits_debited.labels(reservation.kind).inc(debit.debited)
        return debit

    async def release(self, reservation: Reservation) -> None:
        """Give everything back. If the database is away, that is done when it is there again."""
        await self.finish(reservation, reservation.settled_s)

    async def finish(self, reservation: Reservation, seconds: float) -> None:
        """`settle`, later if the database is away now."""
        if reservation.user_id is None:
            return
        self._unclosed[reservation.id] = reservation, seconds
        with contextlib.suppress(DatabaseUnavailable):
            await self._shielded(self._settle(reservation, reservation.user_id, seconds, None))

    async def _close_the_unclosed(self) -> None:
        for reservation, seconds in list(self._unclosed.values()):
            with contextlib.suppress(DatabaseUnavailable):
                assert reservation.user_id is not None
                await self._settle(reservation, reservation.user_id, seconds, None)

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self.in_background(work))

    def settling(self, user_id: UUID | None) -> list[asyncio.Task[Any]]:
        """The live sessions of this user that have ended and are being settled, of every kind."""
        return [] if user_id is None else [task for task, owner in self._closing.items() if owner == user_id]

    def in_background(self, work: Coroutine[Any, Any, T], settles: UUID | None = None) -> asyncio.Task[T]:
        """Work that `close` waits for. Its exception need not be retrieved. settles: the user of a session that it
        settles."""
        task = asyncio.ensure_future(work)
        self._closing[task] = settles
        task.add_done_callback(lambda done: self._closing.pop(done, None))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task


def insufficient(needed: int, available: int, kind: Kind) -> InsufficientCredits:
    """The refusal of work that costs more than there is."""
    what = "This clip costs" if kind == "clip" else "Live captions need at least"
    return InsufficientCredits(
        f"{what} {needed} credits and {available} are left: {needed - available} are missing. Credits come with each "
        "month; a larger plan has more (GET /api/billing/plans).",
        needed=needed,
        available=available,
        missing=needed - available,
    )
