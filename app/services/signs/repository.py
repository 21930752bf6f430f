"""Sign sets in the database; those of others are not found."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.signs import SignRecording, SignSet, TaughtSignRow


def _owned_by(owner: UUID | None) -> ColumnElement[bool]:
    return SignSet.user_id.is_(None) if owner is None else SignSet.user_id == owner


async def sets(session: AsyncSession, owner: UUID | None) -> Sequence[SignSet]:
    """By name."""
    query = select(SignSet).where(_owned_by(owner)).order_by(func.lower(SignSet.name), SignSet.created_at)
    return (await session.scalars(query)).all()


async def counts(session: AsyncSession, set_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Set -> signs, recordings."""
    query = (
        select(TaughtSignRow.set_id, func.count(TaughtSignRow.id.distinct()), func.count(SignRecording.id))
        .outerjoin(SignRecording, SignRecording.sign_id == TaughtSignRow.id)
        .where(TaughtSignRow.set_id.in_(set_ids))
        .group_by(TaughtSignRow.set_id)
    )
    return {set_id: (signs, recordings) for set_id, signs, recordings in await session.execute(query)}


async def get(session: AsyncSession, owner: UUID | None, set_id: UUID, lock: bool = False) -> SignSet | None:
    """None for sets of others too. lock: nobody else changes it until the transaction ends."""
    query = select(SignSet).where(SignSet.id == set_id, _owned_by(owner))
    return await session.scalar(query.with_for_update() if lock else query)


async def shared(session: AsyncSession, digest: str) -> SignSet | None:
    return await session.scalar(select(SignSet).where(SignSet.share_digest == digest))


async def sign(session: AsyncSession, set_id: UUID, sign_id: UUID) -> TaughtSignRow | None:
    return await session.scalar(
        select(TaughtSignRow).where(TaughtSignRow.id == sign_id, TaughtSignRow.set_id == set_id)
    )


async def sign_called(session: AsyncSession, set_id: UUID, gloss: str) -> TaughtSignRow | None:
    return await session.scalar(
        select(TaughtSignRow).where(TaughtSignRow.set_id == set_id, TaughtSignRow.gloss == gloss)
    )


async def signs(session: AsyncSession, set_id: UUID) -> Sequence[TaughtSignRow]:
    """In the order taught."""
    query = select(TaughtSignRow).where(TaughtSignRow.set_id == set_id)
    return (await session.scalars(query.order_by(TaughtSignRow.created_at, TaughtSignRow.id))).all()


async def recordings(session: AsyncSession, set_id: UUID) -> Sequence[SignRecording]:
    """Of all signs of a set, in the order made."""
    query = select(SignRecording).join(TaughtSignRow, TaughtSignRow.id == SignRecording.sign_id)
    query = query.where(TaughtSignRow.set_id == set_id)
    return (await session.scalars(query.order_by(SignRecording.created_at, SignRecording.id))).all()


async def touch(session: AsyncSession, set_id: UUID) -> None:
    """It has changed now."""
    await session.execute(update(SignSet).where(SignSet.id == set_id).values(changed_at=func.clock_timestamp()))


async def remove(session: AsyncSession, owner: UUID | None, set_id: UUID) -> bool:
    """False for sets of others too."""
    query = delete(SignSet).where(SignSet.id == set_id, _owned_by(owner)).returning(SignSet.id)
    return (await session.scalar(query)) is not None


async def remove_recording(session: AsyncSession, sign_id: UUID, recording_id: UUID) -> bool:
    query = delete(SignRecording).where(SignRecording.id == recording_id, SignRecording.sign_id == sign_id)
    return (await session.scalar(query.returning(SignRecording.id))) is not None


async def forget_landmarks(session: AsyncSession, set_id: UUID) -> None:
    """Of all its recordings."""
    own = select(TaughtSignRow.id).where(TaughtSignRow.set_id == set_id)
    query = update(SignRecording).where(SignRecording.sign_id.in_(own)).values(landmarks=None)
    await session.execute(query)
