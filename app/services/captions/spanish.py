"""Captions of one session on their way to the client, with their Spanish."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.services.captions.events import Final, Partial
from app.services.conversation.completion import CompletedEvents
from app.services.conversation.translation import PatientTranslator

NO_TRANSLATION = "The translation does not answer; captions go on without it until it does."


class SpanishCaptions(CompletedEvents):
    """Runs from its creation until `close`."""

    def __init__(
        self,
        translator: PatientTranslator,
        send: Callable[[Partial | Final], None],
        warn: Callable[[str, str], None],
    ) -> None:
        super().__init__(self._with_spanish, send, "spanish-captions")
        self._translator, self._warn = translator, warn
        self._without = False

    async def _with_spanish(self, event: Partial | Final) -> Partial | Final:
        began = time.monotonic()
        spanish = await self._translator.translate(event.sentence, "en", "es")
        if spanish is None and not self._without:
            self._warn("no_translation", NO_TRANSLATION)
        self._without = spanish is None
        late_ms = (time.monotonic() - began) * 1000
        text = event.text.model_copy(update={"es": spanish})
        return event.model_copy(update={"text": text, "lag_ms": round(event.lag_ms + late_ms, 1)})
