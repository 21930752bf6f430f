"""Translation beside live work: bounded in time, given up for a while when it fails, never in the way."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from loguru import logger

from app.core.errors import ServiceError

NO_TRANSLATION = "The translation does not answer; captions go on without it until it does."
#: Seconds that a caption waits for its translation.
WAIT_S = 0.3
#: Seconds after a failure until the translator is tried again.
RETRY_S = 2.0
#: Translations that are remembered: the sentence of a partial is often that of the next one.
REMEMBERED = 512

#: Seconds that a session waits for its translator to start; sentences for that.
WARM_S = 3.0
_FIRST = {"en": "The house is large.", "es": "La casa es grande."}

Translate = Callable[[str, str, str], Awaitable[str]]
"""Text, source, target -> translation. Raises ServiceError."""


class TranslationWatch:
    """Says once that captions go on without their translation, until there is one again. Of one session."""

    def __init__(self, warn: Callable[[str, str], object]) -> None:
        """warn: code, message."""
        self._warn, self._missing = warn, False

    def saw(self, missing: bool) -> None:
        """Whether a caption had to go without."""
        if missing and not self._missing:
            self._warn("no_translation", NO_TRANSLATION)
        self._missing = missing


class PatientTranslator:
    """One for all sessions of a process. Use from one event loop."""

    def __init__(
        self,
        translate: Translate,
        available: Callable[[], bool],
        wait_s: float = WAIT_S,
        now: Callable[[], float] = time.monotonic,
        what: str = "translation",
    ) -> None:
        """available: whether a translator is installed; asked for each session, so it has to be quick. what: its
        name in the log."""
        self._translate, self.available, self._wait_s, self._now = translate, available, wait_s, now
        self._what = what
        self._known: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self._down_until = 0.0
        self._running: dict[tuple[str, str, str], asyncio.Future[str]] = {}

    async def translate(self, text: str, source: str, target: str, wait_s: float | None = None) -> str | None:
        """None where it is not to be had in time. wait_s: default as in the constructor."""
        asked = text, source, target
        if not text or source == target:
            return text
        if asked in self._known:
            self._known.move_to_end(asked)
            return self._known[asked]
        if self._now() < self._down_until:
            return None
        running = self._running.get(asked)
        if running is None:
            running = self._running[asked] = asyncio.ensure_future(self._translate(*asked))
            running.add_done_callback(lambda done: self._done(asked, done))
        done, _ = await asyncio.wait({running}, timeout=self._wait_s if wait_s is None else wait_s)
        if not done:
            self._fail("no answer in time")
            return None
        return None if running.cancelled() or running.exception() is not None else running.result()

    async def warm(self, source: str, target: str) -> None:
        """Before the first caption: programs that start with their first text need longer than a caption waits."""
        await self.translate(_FIRST[source], source, target, WARM_S)

    def _done(self, asked: tuple[str, str, str], done: asyncio.Future[str]) -> None:
        self._running.pop(asked, None)
        if done.cancelled():
            return
        problem = done.exception()
        if problem is not None:
            self._fail(problem.detail if isinstance(problem, ServiceError) else repr(problem))
            return
        self._known[asked] = done.result()
        self._down_until = 0.0
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _fail(self, why: str) -> None:
        if self._now() >= self._down_until:
            logger.warning("captions go on without {}: {}", self._what, why)
        self._down_until = self._now() + RETRY_S
