"""What is seen of credits: the usage of the last days, of a user or of all, the entries of the ledger, the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.credits import LedgerEntry, Subscription

#: Days of usage, today included.
DAYS = 30

_DAILY = text("""
SELECT day::date AS day,
    coalesce(-sum(amount) FILTER (WHERE source = 'clip'), 0) AS clip,
    coalesce(-sum(amount) FILTER (WHERE source = 'live'), 0) AS live,
    coalesce(sum(seconds), 0) AS seconds
FROM generate_series(
    date_trunc('day', now() AT TIME ZONE 'UTC') - make_interval(days => :days - 1),
    date_trunc('day', now() AT TIME ZONE 'UTC'), interval '1 day') AS day
LEFT JOIN ledger ON kind = 'debit' AND user_id = :user
    AND created_at >= day AT TIME ZONE 'UTC' AND created_at < (day + interval '1 day') AT TIME ZONE 'UTC'
GROUP BY day ORDER BY day
""")


_DAILY_OF_ALL = text("""
WITH used AS (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
        -sum(amount) FILTER (WHERE source = 'clip') AS clip, -sum(amount) FILTER (WHERE source = 'live') AS live,
        sum(seconds) AS seconds
    FROM ledger WHERE kind = 'debit'
        AND created_at >= (date_trunc('day', now() AT TIME ZONE 'UTC') - make_interval(days => :days - 1))
            AT TIME ZONE 'UTC'
    GROUP BY 1
)
SELECT each::date AS day, coalesce(clip, 0) AS clip, coalesce(live, 0) AS live, coalesce(seconds, 0) AS seconds
FROM generate_series(
    date_trunc('day', now() AT TIME ZONE 'UTC') - make_interval(days => :days - 1),
    date_trunc('day', now() AT TIME ZONE 'UTC'), interval '1 day') AS each
LEFT JOIN used ON used.day = each::date ORDER BY each
""")


@dataclass(frozen=True, slots=True)
class Day:
    """Usage of one day (UTC)."""

    day: date
    clip: int
    """Credits."""
    live: int
    """Credits."""
    seconds: float


async def daily(session: AsyncSession, user_id: UUID, days: int = DAYS) -> list[Day]:
    """Oldest first, days without usage included."""
    rows = await session.execute(_DAILY, {"user": user_id, "days": days})
    return [Day(row.day, int(row.clip), int(row.live), float(row.seconds)) for row in rows]


async def daily_of_all(session: AsyncSession, days: int = DAYS) -> list[Day]:
    """Of all users, deleted ones included; oldest first."""
    rows = await session.execute(_DAILY_OF_ALL, {"days": days})
    return [Day(row.day, int(row.clip), int(row.live), float(row.seconds)) for row in rows]


async def entries(session: AsyncSession, user_id: UUID, limit: int, before: int | None) -> Sequence[LedgerEntry]:
    """Newest first; before: only entries with a lower number."""
    query = select(LedgerEntry).where(LedgerEntry.user_id == user_id)
    if before is not None:
        query = query.where(LedgerEntry.number < before)
    return (await session.scalars(query.order_by(LedgerEntry.number.desc()).limit(limit))).all()


async def subscription(session: AsyncSession, user_id: UUID) -> Subscription | None:
    return await session.get(Subscription, user_id)
