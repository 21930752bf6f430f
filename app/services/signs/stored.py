"""A sign set as it lies in the database: whose it is, its signs, their recordings and how these are read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal
from app.db.models.signs import SignRecording, SignSet, TaughtSignRow
from app.pipeline.module3_sequence.teaching import ReadBack, read_back
from app.services.signs import repository

#: How a token with which others read a set begins.
SHARED = "gs_"
_LONGEST_TOKEN = 80


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a set."""

    row: TaughtSignRow
    recordings: Sequence[SignRecording]
    back: ReadBack | None
    """How its recordings are read by leave-one-out; None with fewer than two."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A set and all that is in it."""

    row: SignSet
    signs: Sequence[Sign]
    readable: bool
    """Whether the recogniser in use can read it; otherwise it has to be taught again."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A set in a list."""

    row: SignSet
    signs: int
    recordings: int


async def own(session: AsyncSession, principal: Principal, set_id: UUID, lock: bool = False) -> SignSet:
    """Of this principal; lock: nobody else changes it until the transaction ends. Raises UnknownSignSet."""
    row = await repository.get(session, principal.user_id, set_id, lock)
    if row is None:
        raise errors.UnknownSignSet
    return row


async def shared(session: AsyncSession, token: str) -> SignSet:
    """Raises UnknownSignSet."""
    row = None
    if token.startswith(SHARED) and len(token) <= _LONGEST_TOKEN:
        row = await repository.shared(session, digest(token))
    if row is None:
        raise errors.UnknownSignSet("No sign set is shared with this token; it may have been withdrawn.")
    return row


async def contents(session: AsyncSession, row: SignSet, space: str, measured: bool = True) -> Contents:
    """space: of the recogniser in use; measured: with how its recordings are read by leave-one-out."""
    signs = await repository.signs(session, row.id)
    by_sign: dict[UUID, list[SignRecording]] = {sign.id: [] for sign in signs}
    for recording in await repository.recordings(session, row.id):
        by_sign[recording.sign_id].append(recording)
    every = [r for recordings in by_sign.values() for r in recordings]
    readable = all(r.space == space or r.landmarks is not None for r in every)
    back: dict[str, ReadBack] = {}
    if measured and every and all(r.space == space for r in every):
        table = {
            sign.gloss: np.stack([unpacked(r.embedding) for r in by_sign[sign.id]])
            for sign in signs
            if by_sign[sign.id]
        }
        back = await asyncio.to_thread(read_back, table)
    return Contents(row, [Sign(sign, by_sign[sign.id], back.get(sign.gloss)) for sign in signs], readable)


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()  # 192 random bits need no salt


def packed(row: NDArray[np.float32]) -> bytes:
    """An embedding as it is stored: float16."""
    return row.astype("<f2").tobytes()


def unpacked(stored: bytes) -> NDArray[np.float32]:
    """Inverse of `packed`."""
    return np.frombuffer(stored, "<f2").astype(np.float32)
