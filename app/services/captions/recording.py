"""Keeps the captions of one live session in the history, with the partial results that came before each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from app.services.captions.events import Final, Partial
from app.services.history.records import Begun, Ended, Line, Record

#: Partial results of one sentence that are kept; of more, every second one is dropped.
MAX_PARTIALS = 64


class LiveRecord:
    """Of one live session; from its beginning to `end`."""

    def __init__(
        self,
        user_id: UUID,
        put: Callable[[Record], bool],
        warn: Callable[[str, str], None],
        **about: Any,
    ) -> None:
        """put: keeps a record; False: there is no room for it. warn: tells the client. about: columns of
        `caption_sessions`."""
        self.id = uuid4()
        self._put, self._warn = put, warn
        self._partials: list[dict[str, Any]] = []
        self._lost = 0
        self._ended = False
        put(Begun(self.id, {"user_id": user_id, "kind": "live", "started_at": datetime.now(UTC), **about}))

    def add(self, event: Partial | Final) -> None:
        if isinstance(event, Partial):
            self._partials.append({"at_ms": event.until_ms, "gloss_text": event.gloss_text, "sentence": event.sentence})
            if len(self._partials) > MAX_PARTIALS:
                del self._partials[1::2]
            return
        values = {
            "number": event.segment,
            "start_ms": event.start_ms,
            "end_ms": event.end_ms,
            "glosses": [gloss.model_dump(exclude={"final"}) for gloss in event.gloss],
            "gloss_text": event.gloss_text,
            "sentence": event.sentence,
            "text": event.text.model_dump() | ({"by_rules": event.by_rules} if event.by_rules is not None else {}),
            "partials": self._partials,
            "confidence": event.confidence,
            "vocabulary": event.vocabulary,
            "lag_ms": event.lag_ms,
        }
        self._partials = []
        if self._put(Line(self.id, values)):
            return
        if not self._lost:
            self._warn("not_saved", "The database is away and too many captions wait for it: some are not saved.")
        self._lost += 1

    def end(self, used_s: float, credits: int) -> None:
        """used_s: seconds that were used; credits: what they cost."""
        if not self._ended:
            self._ended = True
            values = {"ended_at": datetime.now(UTC), "duration_s": used_s, "credits": credits, "lines_lost": self._lost}
            self._put(Ended(self.id, values))
