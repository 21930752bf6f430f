"""Stored captions in the database: written once, found by date and by words, corrected, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, exists, func, literal, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.history import CaptionLine, CaptionSession
from app.services.history.records import Begun, Line, Record

#: Sessions that one statement of the retention job deletes.
PURGED_AT_ONCE = 500


async def write(session: AsyncSession, record: Record) -> None:
    """Once, however often it is called. Raises IntegrityError where the session or the account is gone."""
    if isinstance(record, Begun):
        begun = insert(CaptionSession).values(id=record.session_id, **record.values)
        await session.execute(begun.on_conflict_do_nothing())
        return
    values = record.values
    if isinstance(record, Line):
        line = insert(CaptionLine).values(session_id=record.session_id, **values)
        await session.execute(line.on_conflict_do_nothing())
        values = {"duration_s": func.greatest(CaptionSession.duration_s, values["end_ms"] / 1000)}
    await session.execute(update(CaptionSession).where(CaptionSession.id == record.session_id).values(values))


@dataclass(frozen=True, slots=True)
class Query:
    """Which sessions of an account."""

    words: str | None = None
    """As people type them into a search engine: words, "a phrase", -without, or."""
    since: datetime | None = None
    until: datetime | None = None
    """Sessions that began before this moment."""
    kind: str | None = None
    before: tuple[datetime, UUID] | None = None
    """Only sessions after this one in the list."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A session in the list."""

    session: CaptionSession
    lines: int
    """How many it has."""
    excerpt: str | None
    """Its first sentence, or the first one with the words."""


def _has_words(words: str) -> ColumnElement[bool]:
    """By their stems; where all of them are stop words of English, as they are."""
    stems = func.websearch_to_tsquery(literal_column("'english'::regconfig"), words)
    as_they_are = func.websearch_to_tsquery(literal_column("'simple'::regconfig"), words)
    return CaptionLine.search.op("@@")(case((func.numnode(stems) > 0, stems), else_=as_they_are))


async def page(session: AsyncSession, user_id: UUID, query: Query, limit: int) -> list[Listed]:
    """Newest first."""
    of_session = CaptionLine.session_id == CaptionSession.id
    found = of_session if query.words is None else of_session & _has_words(query.words)
    count = select(func.count()).where(of_session).correlate(CaptionSession).scalar_subquery()
    shown = func.coalesce(CaptionLine.corrected_sentence, CaptionLine.sentence)
    excerpt = select(shown).where(found).order_by(CaptionLine.number).limit(1).correlate(CaptionSession)
    wanted = select(CaptionSession, count, excerpt.scalar_subquery()).where(CaptionSession.user_id == user_id)
    if query.words is not None:
        wanted = wanted.where(exists().where(found).correlate(CaptionSession))
    if query.since is not None:
        wanted = wanted.where(CaptionSession.started_at >= query.since)
    if query.until is not None:
        wanted = wanted.where(CaptionSession.started_at < query.until)
    if query.kind is not None:
        wanted = wanted.where(CaptionSession.kind == query.kind)
    if query.before is not None:
        place = tuple_(CaptionSession.started_at, CaptionSession.id)
        wanted = wanted.where(place < tuple_(*map(literal, query.before)))
    newest = wanted.order_by(CaptionSession.started_at.desc(), CaptionSession.id.desc()).limit(limit)
    return [Listed(row, lines, text) for row, lines, text in await session.execute(newest)]


async def get(session: AsyncSession, user_id: UUID, session_id: UUID) -> CaptionSession | None:
    """None for sessions of others too."""
    return await session.scalar(
        select(CaptionSession).where(CaptionSession.id == session_id, CaptionSession.user_id == user_id)
    )


async def lines(session: AsyncSession, session_id: UUID, after: int, limit: int) -> Sequence[CaptionLine]:
    """In order, those with a higher number than `after`."""
    query = select(CaptionLine).where(CaptionLine.session_id == session_id, CaptionLine.number > after)
    return (await session.scalars(query.order_by(CaptionLine.number).limit(limit))).all()


async def line(session: AsyncSession, user_id: UUID, session_id: UUID, number: int) -> CaptionLine | None:
    """Locked. None for lines of others too."""
    if await get(session, user_id, session_id) is None:
        return None
    query = select(CaptionLine).where(CaptionLine.session_id == session_id, CaptionLine.number == number)
    return await session.scalar(query.with_for_update())


async def remove(session: AsyncSession, user_id: UUID, session_id: UUID) -> bool:
    """False for sessions of others too."""
    query = delete(CaptionSession).where(CaptionSession.id == session_id, CaptionSession.user_id == user_id)
    return (await session.scalar(query.returning(CaptionSession.id))) is not None


async def purge(session: AsyncSession, days: float) -> int:
    """Delete sessions that began more than this many days ago, some at a time; how many were deleted."""
    old = select(CaptionSession.id).where(CaptionSession.started_at < func.now() - timedelta(days=days))
    query = delete(CaptionSession).where(CaptionSession.id.in_(old.limit(PURGED_AT_ONCE)))
    return len((await session.scalars(query.returning(CaptionSession.id))).all())
