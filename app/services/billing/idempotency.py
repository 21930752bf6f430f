"""Idempotency keys: a paid request that is sent again with its key gets the first answer, and is paid once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdempotencyInProgress, IdempotencyMismatch
from app.db.models.credits import Idempotency

#: Characters of a key.
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key for one request."""

    key: str
    digest: bytes
    """SHA-256 of the request; it tells whether it is the same one."""


def parts(key: Key, count: int) -> list[Key]:
    """Keys for the parts of one request, each of which is paid and answered for itself. The first is the key of the
    request, so that another request with that key is noticed; no client can send the others."""
    return [key, *(Key(f"{key.key}\n{number}", key.digest) for number in range(1, count))]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, as it is stored."""

    media_type: str
    content: bytes


async def claim(session: AsyncSession, user_id: UUID, key: Key, reservation_id: UUID) -> Answer | None:
    """Tie the key to a reservation; or the answer that its request got before. The caller holds the lock of the user.
    Raises IdempotencyMismatch, IdempotencyInProgress."""
    known = await session.scalar(select(Idempotency).where(Idempotency.user_id == user_id, Idempotency.key == key.key))
    if known is None:
        await session.execute(
            insert(Idempotency).values(user_id=user_id, key=key.key, digest=key.digest, reservation_id=reservation_id)
        )
        return None
    if known.digest != key.digest:
        raise IdempotencyMismatch
    if known.answer is None:  # the row of a request that failed is deleted with its reservation
        raise IdempotencyInProgress
    return Answer(known.media_type or "application/json", known.answer)


async def check(session: AsyncSession, user_id: UUID, keys: Collection[Key]) -> None:
    """Whether a request with these parts may go on: none of their keys belongs to another request or to one that is
    being worked on. Raises IdempotencyMismatch, IdempotencyInProgress."""
    sent = {key.key: key.digest for key in keys}
    columns = Idempotency.key, Idempotency.digest, Idempotency.answer.is_(None)
    known = await session.execute(select(*columns).where(Idempotency.user_id == user_id, Idempotency.key.in_(sent)))
    running = False
    for key, digest, unanswered in known:
        if digest != sent[key]:
            raise IdempotencyMismatch
        running = running or unanswered
    if running:
        raise IdempotencyInProgress


async def keep(session: AsyncSession, reservation_id: UUID, answer: Answer) -> None:
    """Keep the answer for the key of this reservation, if it has one."""
    await session.execute(
        update(Idempotency)
        .where(Idempotency.reservation_id == reservation_id)
        .values(media_type=answer.media_type, answer=answer.content)
    )


async def forget(session: AsyncSession, reservation_id: UUID) -> None:
    """The request of this reservation has no answer: its key is free again."""
    await session.execute(delete(Idempotency).where(Idempotency.reservation_id == reservation_id))
