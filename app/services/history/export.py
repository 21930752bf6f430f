"""Everything that is stored of an account, as the pieces of one JSON document; page by page, so that memory stays
bounded and no transaction waits for a slow reader."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from app.db.database import Database
from app.db.models import (
    ApiKey,
    Base,
    CorpusConsent,
    CorpusSigner,
    LedgerEntry,
    OwnVoice,
    SignRecording,
    SignSet,
    Subscription,
    TaughtSignRow,
    User,
)
from app.services.billing import reports
from app.services.history import repository
from app.services.history.repository import Query

#: Rows that are held at once.
PAGE = 200
#: Never leave the database.
_SECRET = {"password_hash", "totp_secret", "totp_step", "digest", "search", "share_digest"}

_encode = msgspec.json.Encoder().encode


async def export(database: Database, user: User) -> AsyncIterator[bytes]:
    """UTF-8. Raises DatabaseUnavailable, which cuts the document short: it is then not valid JSON."""
    async with database.session() as session:
        keys = (await session.scalars(select(ApiKey).where(ApiKey.user_id == user.id))).all()
        subscription = await session.get(Subscription, user.id)
        of_user = select(CorpusConsent).join(CorpusSigner, CorpusSigner.id == CorpusConsent.signer_id)
        consents = await session.scalars(
            of_user.where(CorpusSigner.user_id == user.id).order_by(CorpusConsent.given_at)
        )
    beginning = {
        "account": _columns(user),
        "api_keys": [_columns(key) for key in keys],
        "subscription": None if subscription is None else _columns(subscription),
        "training_consents": [_columns(consent) for consent in consents.all()],
    }
    yield _encode(beginning)[:-1] + b',"ledger":['
    async for piece in _joined(_ledger(database, user.id)):
        yield piece
    yield b'],"history":['
    async for piece in _history(database, user.id):
        yield piece
    yield b'],"sign_sets":['
    async for piece in _sign_sets(database, user.id):
        yield piece
    async with database.session() as session:
        voice = await session.scalar(select(OwnVoice).where(OwnVoice.user_id == user.id))
    yield b'],"own_voice":' + _encode(None if voice is None else _columns(voice)) + b"}\n"


async def _ledger(database: Database, user_id: UUID) -> AsyncIterator[Sequence[LedgerEntry]]:
    before: int | None = None
    while True:
        async with database.session() as session:
            found = await reports.entries(session, user_id, PAGE, before)
        if not found:
            return
        yield found
        before = found[-1].number


async def _history(database: Database, user_id: UUID) -> AsyncIterator[bytes]:
    place, first = None, True
    while True:
        async with database.session() as session:
            listed = await repository.page(session, user_id, Query(before=place), PAGE)
        if not listed:
            return
        for entry in listed:
            row = entry.session
            yield (b"" if first else b",") + _encode(_columns(row))[:-1] + b',"lines":['
            first = False
            async for piece in _joined(_lines(database, row.id)):
                yield piece
            yield b"]}"
        place = listed[-1].session.started_at, listed[-1].session.id


async def _sign_sets(database: Database, user_id: UUID) -> AsyncIterator[bytes]:
    """With their signs and recordings, a sign at a time; embeddings and landmarks in base64."""
    async with database.session() as session:
        sets = (await session.scalars(select(SignSet).where(SignSet.user_id == user_id).order_by(SignSet.id))).all()
    for number, row in enumerate(sets):
        yield (b"," if number else b"") + _encode(_columns(row))[:-1] + b',"signs":['
        async with database.session() as session:
            query = select(TaughtSignRow).where(TaughtSignRow.set_id == row.id).order_by(TaughtSignRow.id)
            signs = (await session.scalars(query)).all()
        for place, sign in enumerate(signs):
            async with database.session() as session:
                of_sign = select(SignRecording).where(SignRecording.sign_id == sign.id).order_by(SignRecording.id)
                recordings = [_columns(recording) for recording in (await session.scalars(of_sign)).all()]
            yield (b"," if place else b"") + _encode(_columns(sign) | {"recordings": recordings})
        yield b"]}"


async def _lines(database: Database, session_id: UUID) -> AsyncIterator[Sequence[Base]]:
    after = -1
    while True:
        async with database.session() as session:
            found = await repository.lines(session, session_id, after, PAGE)
        if not found:
            return
        yield found
        after = found[-1].number


async def _joined(pages: AsyncIterator[Sequence[Base]]) -> AsyncIterator[bytes]:
    first = True
    async for rows in pages:
        yield (b"" if first else b",") + b",".join(_encode(_columns(row)) for row in rows)
        first = False


def _columns(row: Base) -> dict[str, Any]:
    names = [column.key for column in row.__table__.columns]
    return {name: getattr(row, name) for name in names if name not in _SECRET}
