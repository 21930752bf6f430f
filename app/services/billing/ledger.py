"""The ledger in the database: the lock of a user, what an account has, entries, the credits of a month, the check.

The database itself numbers the entries and adds up their balance, and refuses a negative one (migration 0003)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.db.models.credits import LedgerEntry
from app.services.billing.plans import Kind, Plan, Plans

EntryKind = Literal["grant", "expire", "debit", "adjust", "refund"]
#: The first number of the advisory locks of users' credits; the migration has it too.
_LOCK = 1735159669
#: States of a subscription at Stripe in which its plan applies; _ACCOUNT has them too.
PAID = ("active", "trialing")
#: How long a plan outlasts what is paid, for a renewal that is reported late.
GRACE = "3 days"

_ACCOUNT = text(f"""
SELECT
    EXISTS (SELECT FROM users WHERE id = :user) AS known,
    (SELECT plan FROM subscriptions WHERE user_id = :user AND (source = 'admin' OR (
        status IN ('active', 'trialing')
        AND coalesce(period_end, 'infinity') + interval '{GRACE}' > clock_timestamp()
    ))) AS plan,
    coalesce((SELECT balance FROM ledger WHERE user_id = :user ORDER BY number DESC LIMIT 1), 0) AS balance,
    held.clip AS held_clip, held.live AS held_live, held.sessions AS sessions,
    coalesce((SELECT sum(seconds) FROM ledger WHERE user_id = :user AND kind = 'debit'
        AND created_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'), 0) AS today_s,
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
    (SELECT max(period) FROM ledger WHERE user_id = :user AND kind = 'grant') AS granted_month,
    (SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = :user AND kind = 'grant' AND period = (
        SELECT max(period) FROM ledger WHERE user_id = :user AND kind = 'grant')) AS granted
FROM (
    SELECT
        coalesce(sum(amount) FILTER (WHERE kind = 'clip'), 0) AS clip,
        coalesce(sum(amount) FILTER (WHERE kind = 'live'), 0) AS live,
        count(*) FILTER (WHERE kind = 'live') AS sessions
    FROM reservations WHERE user_id = :user AND state = 'open'
) AS held
""")
#: Credits of a month that were taken since its first grant.
_TAKEN = text("""
SELECT coalesce(-sum(amount), 0) FROM ledger WHERE user_id = :user AND kind IN ('debit', 'refund') AND number > (
    SELECT min(number) FROM ledger WHERE user_id = :user AND kind = 'grant' AND period = :period)
""")
_GRANTED_BY = text("""
SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = :user AND kind = 'grant' AND source = :plan AND period = (
    SELECT max(period) FROM ledger WHERE user_id = :user AND kind = 'grant')
""")
#: Users whose ledger does not add up: its sum, its numbers, or more held than there is.
_WRONG = text("""
SELECT count(*) FROM (
    SELECT user_id, sum(amount) AS total, max(number) AS last, count(*) AS entries,
        (array_agg(balance ORDER BY number DESC))[1] AS balance
    FROM ledger WHERE user_id IS NOT NULL GROUP BY user_id
) AS sums
LEFT JOIN (
    SELECT user_id, sum(amount) AS held FROM reservations WHERE state = 'open' GROUP BY user_id
) AS open USING (user_id)
WHERE total <> balance OR last <> entries OR coalesce(held, 0) > balance
""")
_BY_PLAN = text(f"""
SELECT subscriptions.plan, count(*) FROM users LEFT JOIN subscriptions ON subscriptions.user_id = users.id AND (
    source = 'admin' OR (
        status IN ('active', 'trialing')
        AND coalesce(period_end, 'infinity') + interval '{GRACE}' > clock_timestamp()
    )) GROUP BY subscriptions.plan
""")


@dataclass(frozen=True, slots=True)
class Account:
    """What a user has, while the lock is held."""

    user_id: UUID
    plan_name: str
    plan: Plan
    balance: int
    """Sum of the ledger, in credits."""
    held: int
    """Credits of it that are reserved."""
    sessions: int
    """Live sessions now, at all processes of the service."""
    today_s: float
    """Seconds used since midnight (UTC), those reserved included."""

    @property
    def available(self) -> int:
        return self.balance - self.held

    @property
    def today_left_s(self) -> float:
        """Seconds that the plan still allows today."""
        return max(0.0, self.plan.minutes_a_day * 60 - self.today_s)


async def lock(session: AsyncSession, user_id: UUID) -> None:
    """Everything about the credits of a user happens one after the other, until the transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(:lock, hashtext(:user))"), {"lock": _LOCK, "user": str(user_id)}
    )


async def append(session: AsyncSession, user_id: UUID, kind: EntryKind, amount: int, **columns: Any) -> int:
    """Add an entry; returns the balance after it. amount: not 0. columns: others of LedgerEntry."""
    entry = insert(LedgerEntry).values(user_id=user_id, kind=kind, amount=amount, **columns)
    balance = await session.scalar(entry.returning(LedgerEntry.balance))
    assert balance is not None
    return balance


async def account(session: AsyncSession, user_id: UUID, plans: Plans) -> Account:
    """The account of a user, whose lock the caller holds; the credits of the month are granted first if they are due.
    Raises NotFound for a user who is gone."""
    row = (await session.execute(_ACCOUNT, {"user": user_id})).one()
    if not row.known:
        raise NotFound("There is no such account (any more).")
    name = plans.known(row.plan or plans.free)
    held = int(row.held_clip + row.held_live)
    balance = await _granted(session, user_id, plans.plans[name].monthly_credits, name, row, held)
    held_s = {kind: plans.seconds(kind, float(getattr(row, f"held_{kind}"))) for kind in _KINDS}
    return Account(user_id, name, plans.plans[name], balance, held, row.sessions, row.today_s + sum(held_s.values()))


_KINDS: tuple[Kind, ...] = ("clip", "live")


async def _granted(session: AsyncSession, user_id: UUID, monthly: int, plan: str, row: Any, held: int) -> int:
    """The balance once a month has been given what the plan is worth: what is left of the month before expires, and a
    larger plan within a month brings the difference. However often this runs and plans change, a month brings no more
    than the largest of its plans; a clock that goes back brings nothing."""
    balance, granted, month = int(row.balance), int(row.granted), row.month
    if row.granted_month is not None and row.granted_month >= month:
        month = row.granted_month
    else:
        if row.granted_month is not None:
            taken = await session.scalar(_TAKEN, {"user": user_id, "period": row.granted_month})
            left = min(max(0, granted - int(taken or 0)), balance - held)
            if left > 0:
                balance = await append(session, user_id, "expire", -left, key=f"expire/{row.granted_month}")
        granted = 0
    if monthly > granted:
        balance = await append(
            session, user_id, "grant", monthly - granted, source=plan, period=month, key=f"grant/{month}/{monthly}"
        )
    return balance


async def granted_by(session: AsyncSession, user_id: UUID, plan: str) -> int:
    """Credits that this plan brought in the latest month that was granted."""
    return int(await session.scalar(_GRANTED_BY, {"user": user_id, "plan": plan}) or 0)


async def accounts_by_plan(session: AsyncSession, plans: Plans) -> dict[str, int]:
    """How many users have each plan of the table."""
    found = dict.fromkeys(plans.plans, 0)
    for plan, number in await session.execute(_BY_PLAN):
        found[plans.known(plan or plans.free)] += int(number)
    return found


async def wrong_accounts(session: AsyncSession) -> int:
    """Number of users whose ledger does not add up; 0 is what it must be."""
    return int(await session.scalar(_WRONG) or 0)
