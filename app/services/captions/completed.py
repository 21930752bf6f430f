"""Captions of one session on their way to the client: finals made fluent where that is on, all with their Spanish."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.services.captions.events import Final, Partial
from app.services.conversation.completion import CompletedEvents
from app.services.conversation.translation import PatientTranslator, TranslationWatch
from app.services.recognition.rewriting import SentenceRewriter


class CompletedCaptions(CompletedEvents):
    """Runs from its creation until `close`."""

    def __init__(
        self,
        translator: PatientTranslator | None,
        rewriter: SentenceRewriter | None,
        send: Callable[[Partial | Final], None],
        warn: Callable[[str, str], None],
    ) -> None:
        """translator, rewriter: None where captions are not translated, or not rewritten."""
        super().__init__(self._completed, send, "completed-captions")
        self._translator, self._rewriter, self._watch = translator, rewriter, TranslationWatch(warn)

    @property
    def translates(self) -> bool:
        return self._translator is not None

    async def _completed(self, event: Partial | Final) -> Partial | Final:
        began = time.monotonic()
        if isinstance(event, Final) and self._rewriter is not None:
            event = await self._fluent(event, self._rewriter)
        if self._translator is not None:
            spanish = await self._translator.translate(event.sentence, "en", "es")
            self._watch.saw(missing=spanish is None)
            event = event.model_copy(update={"text": event.text.model_copy(update={"es": spanish})})
        late_ms = (time.monotonic() - began) * 1000
        return event.model_copy(update={"lag_ms": round(event.lag_ms + late_ms, 1)})

    async def _fluent(self, event: Final, rewriter: SentenceRewriter) -> Final:
        fluent = await rewriter.rewritten([sign.gloss for sign in event.gloss], event.sentence)
        if fluent is None:
            return event
        text = event.text.model_copy(update={"en": fluent})
        return event.model_copy(update={"sentence": fluent, "text": text, "by_rules": event.sentence})
