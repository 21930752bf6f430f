"""Training jobs in the database: which are active, which process watches them, how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import extract, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.training import ACTIVE, TrainingJob

_LOCK = 0x676C6F74
_UNFINISHED = TrainingJob.finished_at.is_(None)


async def lock_queue(session: AsyncSession) -> None:
    """Serialise transactions until this one ends: active jobs are counted and added one at a time."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def get(session: AsyncSession, job_id: str, *, lock: bool = False) -> TrainingJob | None:
    """None if there is no such job, for any text."""
    if "\0" in job_id:  # not text to PostgreSQL
        return None
    query = select(TrainingJob).where(TrainingJob.id == job_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def active(session: AsyncSession) -> Sequence[TrainingJob]:
    """Active jobs, oldest first."""
    return (await session.scalars(select(TrainingJob).where(_UNFINISHED).order_by(TrainingJob.created_at))).all()


async def page(
    session: AsyncSession, limit: int, offset: int, state: str | None = None
) -> tuple[Sequence[TrainingJob], int]:
    """Newest first, and the total number."""
    query = select(TrainingJob)
    if state is not None:
        query = query.where(TrainingJob.state == state)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    newest = query.order_by(TrainingJob.created_at.desc(), TrainingJob.id.desc())
    return (await session.scalars(newest.limit(limit).offset(offset))).all(), total or 0


async def counts(session: AsyncSession) -> dict[str, int]:
    """Number of jobs by state."""
    rows = await session.execute(select(TrainingJob.state, func.count()).group_by(TrainingJob.state))
    return {state: number for state, number in rows}  # noqa: C416 - mypy reads dict(rows) as a dict of rows


async def owned_by(session: AsyncSession, owner: str) -> Sequence[TrainingJob]:
    """Active jobs that `owner` watches."""
    return (await session.scalars(select(TrainingJob).where(_UNFINISHED, TrainingJob.owner == owner))).all()


async def touch_heartbeat(session: AsyncSession, owner: str) -> None:
    """`owner` still watches its jobs."""
    await session.execute(
        update(TrainingJob).where(_UNFINISHED, TrainingJob.owner == owner).values(owner_seen=func.now())
    )


async def owned_by_others(session: AsyncSession, owner: str) -> list[tuple[TrainingJob, float]]:
    """Jobs that another process watches, each with the seconds since the last heartbeat of its owner."""
    silence = extract("epoch", func.now() - TrainingJob.owner_seen)
    rows = await session.execute(select(TrainingJob, silence).where(_UNFINISHED, TrainingJob.owner != owner))
    return [(job, float(silent)) for job, silent in rows]


async def take_over(session: AsyncSession, job: TrainingJob, owner: str) -> bool:
    """Take over a job from its watcher; of several that try, one succeeds."""
    taken = await session.scalar(
        update(TrainingJob)
        .where(_UNFINISHED, TrainingJob.id == job.id, TrainingJob.owner == job.owner)
        .values(owner=owner, owner_seen=func.now())
        .returning(TrainingJob.id)
    )
    return taken is not None


async def change(session: AsyncSession, job_id: str, by: str | None = None, **values: Any) -> bool:
    """Set columns of an active job, of this owner if one is given; False if there is none."""
    query = update(TrainingJob).where(TrainingJob.id == job_id, TrainingJob.state.in_(ACTIVE))
    if by is not None:
        query = query.where(TrainingJob.owner == by)
    return (await session.scalar(query.values(**values).returning(TrainingJob.id))) is not None
