"""Stored captions over HTTP: list, search, read as JSON or subtitles, correct, delete."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from app.api import answers
from app.api.access import CurrentPrincipal
from app.api.auth import NO_ACCOUNTS
from app.api.dependencies import ServicesDep
from app.api.problems import responses
from app.api.schemas.history import CorrectionRequest, Line, ListedSession, Sessions, SessionWithLines
from app.core import errors
from app.services.accounts.access import check
from app.services.accounts.service import user_id_of
from app.services.history import repository
from app.services.history.service import History

router = APIRouter(prefix="/api/history", tags=["history"])

#: A correction of 200 glosses and a sentence in a wide alphabet.
MAX_BODY_BYTES = 64 << 10
#: Numbers of lines that PostgreSQL takes.
_MAX_NUMBER = 2**31 - 1
_ALWAYS = (
    errors.InvalidRequest,
    errors.NotFound,
    errors.NotReady,
    errors.DatabaseUnavailable,
    errors.InternalError,
)


async def _owner(principal: CurrentPrincipal) -> UUID:
    """Raises Unauthenticated, Forbidden."""
    user_id = user_id_of(principal)
    check(principal, "history")
    return user_id


def _history(services: ServicesDep) -> History:
    """Raises NotFound where there is no database."""
    if services.history is None:
        raise errors.NotFound(NO_ACCOUNTS)
    return services.history


OwnerId = Annotated[UUID, Depends(_owner)]
HistoryDep = Annotated[History, Depends(_history)]
Number = Annotated[int, Path(ge=0, le=_MAX_NUMBER)]
Date = Annotated[AwareDatetime | None, Query(description="With an offset, such as 2026-11-26T12:00:00Z.")]


@router.get("", summary="Stored sessions", responses=responses(_ALWAYS))
async def sessions(
    user_id: OwnerId,
    history: HistoryDep,
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description='Words of a sentence or glosses; "a phrase", or, and -without are understood.',
        ),
    ] = None,
    since: Date = None,
    until: Date = None,
    kind: Literal["clip", "live"] | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`cursor` of the page before.")] = None,
) -> Sessions:
    """Newest first; `since` and `until` are about when they began, `until` not included."""
    query = repository.Query(
        words=q if q and q.strip() else None,
        since=_moment(since, "since"),
        until=_moment(until, "until"),
        kind=kind,
        before=None if cursor is None else _place(cursor),
    )
    found, more = await history.page(user_id, query, limit)
    return Sessions(
        sessions=[ListedSession.of(entry) for entry in found],
        cursor=_cursor(found[-1].session.started_at, found[-1].session.id) if more else None,
    )


@router.get(
    "/{session_id}",
    summary="A stored session",
    response_model=SessionWithLines,
    responses=responses(_ALWAYS) | answers.DOCUMENTED,
)
async def session(
    session_id: UUID,
    request: Request,
    user_id: OwnerId,
    history: HistoryDep,
    format: answers.FormatQuery = None,
    language: answers.LanguageQuery = "en",
    after: Annotated[int, Query(ge=-1, le=_MAX_NUMBER, description="JSON: only lines with a higher number.")] = -1,
    limit: Annotated[int, Query(ge=1, le=500, description="JSON: lines of one answer.")] = 200,
) -> SessionWithLines | Response:
    """JSON with what was recognised and corrected, or subtitles of the whole session, as it was corrected."""
    wanted = answers.form(request, format)
    if wanted == "srt" or wanted == "vtt":
        return answers.as_subtitles(await history.cues(user_id, session_id, language), wanted)
    row, lines, more = await history.get(user_id, session_id, after, limit)
    return SessionWithLines.of(row, [Line.of(line) for line in lines], more)


@router.patch(
    "/{session_id}/lines/{number}",
    summary="Correct a line",
    responses=responses((*_ALWAYS, errors.UploadTooLarge)),
)
async def correct(
    session_id: UUID, number: Number, body: CorrectionRequest, user_id: OwnerId, history: HistoryDep
) -> Line:
    """What was recognised stays beside the correction, which the search finds too and subtitles show."""
    changes = body.model_dump(include=body.model_fields_set)
    return Line.of(await history.correct(user_id, session_id, number, changes))


@router.delete("/{session_id}", status_code=204, summary="Delete a stored session", responses=responses(_ALWAYS))
async def remove(session_id: UUID, user_id: OwnerId, history: HistoryDep) -> None:
    """With all its lines, at once and for good."""
    await history.remove(user_id, session_id)


def _moment(given: datetime | None, name: str) -> datetime | None:
    """Raises InvalidRequest for a moment at the edge of what can be written down."""
    try:
        return None if given is None else given.astimezone(UTC)
    except (OverflowError, ValueError):
        raise errors.InvalidRequest(f"{name}: this moment is out of range.") from None


def _cursor(started_at: datetime, session_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{started_at.astimezone(UTC).isoformat()} {session_id}".encode()).decode()


def _place(cursor: str) -> tuple[datetime, UUID]:
    """Raises InvalidRequest."""
    try:
        moment, _, session_id = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").partition(" ")
        started_at = datetime.fromisoformat(moment)
        if started_at.tzinfo is None:
            raise ValueError
        return started_at.astimezone(UTC), UUID(session_id)
    except (ValueError, OverflowError, binascii.Error):
        raise errors.InvalidRequest("cursor: this is not one of ours. Send the `cursor` of the page before.") from None
