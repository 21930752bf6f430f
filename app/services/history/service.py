"""The history of each account: what is kept, for whom and for how long; lists, corrections, deletion."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import DatabaseUnavailable, NotFound, Unauthenticated
from app.core.principal import Principal
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import User
from app.db.models.history import CaptionLine, CaptionSession
from app.pipeline.module4_language import to_english
from app.services.history import records, repository
from app.services.history.export import export
from app.services.history.repository import Listed, Query
from app.services.history.writer import Writer
from app.services.recognition.service import ClipResult
from app.services.recognition.subtitles import UNSURE, Cue, sentence_cues

#: Seconds between two runs of the retention job.
PURGE_S = 3600.0
#: Lines that are read at once.
PAGE = 500

NO_ACCOUNT = "save: nothing is stored without an account. Sign in or send an API key, or leave save out."
_BEHIND = "save: the database is away and too many captions wait for it, so that nothing can be promised. Try later."


class History:
    """One per application. Methods raise DatabaseUnavailable beside what they name."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database, self._days = database, settings.history_days
        self.writer = Writer(database)
        self._purging = asyncio.create_task(self._purge(), name="history-retention")

    async def close(self) -> None:
        """Return when what was promised is written, or cannot be."""
        self._purging.cancel()
        await asyncio.gather(self._purging, return_exceptions=True)
        await self.writer.close()

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save_clip(self, principal: Principal, result: ClipResult, credits: int) -> None:
        """Keep a clip after `check`; it is written in the background."""
        assert principal.user_id is not None, "checked before the clip was read"
        for record in records.of_clip(principal.user_id, result, credits):
            self.writer.put(record)

    def check(self) -> None:
        """Whether something can be promised to be kept. Raises DatabaseUnavailable if too much waits already."""
        if self.writer.full:
            raise DatabaseUnavailable(_BEHIND)

    # -- for its owner ------------------------------------------------------------------------------------------------

    async def page(self, user_id: UUID, query: Query, limit: int) -> tuple[list[Listed], bool]:
        """Sessions, newest first, and whether there are more."""
        async with self._database.session() as session:
            found = await repository.page(session, user_id, query, limit + 1)
        return found[:limit], len(found) > limit

    async def get(
        self, user_id: UUID, session_id: UUID, after: int, limit: int
    ) -> tuple[CaptionSession, Sequence[CaptionLine], bool]:
        """A session, its lines with higher numbers than `after`, and whether there are more. Raises NotFound."""
        async with self._database.session() as session:
            row = await repository.get(session, user_id, session_id)
            if row is None:
                raise _unknown()
            found = await repository.lines(session, session_id, after, limit + 1)
        return row, found[:limit], len(found) > limit

    async def cues(self, user_id: UUID, session_id: UUID, language: str = "en") -> list[Cue]:
        """Its subtitles; of corrected lines, what they were corrected to; in another language than English, those that
        have a translation in it. Raises NotFound."""
        sentences: list[tuple[float, float, str]] = []
        after, more = -1, True
        while more:
            row, found, more = await self.get(user_id, session_id, after, PAGE)
            sentences += [(line.start_ms / 1000, line.end_ms / 1000, _shown(line, row, language)) for line in found]
            after = found[-1].number if found else after
        return await asyncio.to_thread(sentence_cues, sentences, row.duration_s)

    async def correct(self, user_id: UUID, session_id: UUID, number: int, changes: dict[str, Any]) -> CaptionLine:
        """Note what a line should have been, beside what was recognised. changes: `sentence` and `glosses`, each as it
        should be; None takes a correction back. Raises NotFound."""
        async with self._database.session() as session:
            line = await repository.line(session, user_id, session_id, number)
            if line is None:
                raise NotFound("There is no line with this number in a stored session of this account.")
            if "sentence" in changes:
                line.corrected_sentence = changes["sentence"]
            if "glosses" in changes:
                glosses = changes["glosses"]
                line.corrected_glosses = glosses
                line.corrected_gloss_text = None if glosses is None else " ".join(glosses)
            corrected = line.corrected_sentence is not None or line.corrected_glosses is not None
            line.corrected_at = datetime.now(UTC) if corrected else None
        return line

    async def remove(self, user_id: UUID, session_id: UUID) -> None:
        """Delete a session with its lines; of one that still runs, nothing more is kept. Raises NotFound."""
        async with self._database.session() as session:
            if not await repository.remove(session, user_id, session_id):
                raise _unknown()

    def export(self, user: User) -> AsyncIterator[bytes]:
        """All that is stored of this account, as the pieces of one JSON document."""
        return export(self._database, user)

    # -- retention ----------------------------------------------------------------------------------------------------

    async def purge(self) -> int:
        """Delete what is older than HISTORY_DAYS; how many sessions that were."""
        total = 0
        while self._days is not None:
            async with self._database.session() as session:
                removed = await repository.purge(session, self._days)
            total += removed
            if removed < repository.PURGED_AT_ONCE:
                break
        return total

    async def _purge(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                try:
                    removed = await self.purge()
                    if removed:
                        logger.info("{} stored sessions were older than {} days and are deleted", removed, self._days)
                except SQLAlchemyError:
                    logger.exception("the history could not be cleaned")
            # Just after the start, the database may not be there yet.
            await asyncio.sleep(PURGE_S if self._database.problem is None else 10.0)


def checked_owner(history: History | None, principal: Principal) -> tuple[History, UUID]:
    """Whose history it will be kept in. Raises Unauthenticated where there is no account, DatabaseUnavailable."""
    if history is None or principal.user_id is None:
        raise Unauthenticated(NO_ACCOUNT)
    history.check()
    return history, principal.user_id


def _shown(line: CaptionLine, session: CaptionSession, language: str) -> str:
    corrected = line.corrected_sentence is not None or line.corrected_glosses is not None
    if language != "en" and not corrected and (translated := line.text.get(language)):
        return str(translated)
    if line.corrected_sentence is not None:
        return line.corrected_sentence
    if line.corrected_glosses is not None:
        return to_english(line.corrected_glosses, session.sign_language)
    return line.sentence + UNSURE if any(sign["unsure"] for sign in line.glosses) else line.sentence


def _unknown() -> NotFound:
    return NotFound("There is no stored session with this id in this account.")
