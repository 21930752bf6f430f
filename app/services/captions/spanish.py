"""Captions of one session on their way to the client, with their Spanish: in order, partials only the newest."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from app.services.captions.events import Final, Partial
from app.services.conversation.translation import PatientTranslator


class SpanishCaptions:
    """Runs from its creation until `close`."""

    def __init__(
        self,
        translator: PatientTranslator,
        send: Callable[[Partial | Final], None],
        warn: Callable[[str, str], None],
    ) -> None:
        self._translator, self._send, self._warn = translator, send, warn
        self._finals: deque[tuple[Final, float]] = deque()
        self._partial: tuple[Partial, float] | None = None
        self._something, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._without = False
        self._waiting: asyncio.Task[str | None] | None = None  # for the translation of a partial
        self._task = asyncio.create_task(self._run(), name="spanish-captions")

    def put(self, event: Partial | Final) -> None:
        came = time.monotonic()
        if isinstance(event, Final):
            self._finals.append((event, came))
            self._partial = None  # is obsolete
            if self._waiting is not None:
                self._waiting.cancel()
        else:
            self._partial = event, came
        self._idle.clear()
        self._something.set()

    async def sent(self) -> None:
        """Return when everything has been sent."""
        await self._idle.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            if self._finals:
                await self._one(*self._finals.popleft())
            elif self._partial is not None:
                (partial, came), self._partial = self._partial, None
                await self._one(partial, came)
            else:
                self._idle.set()
                self._something.clear()
                await self._something.wait()

    async def _one(self, event: Partial | Final, came: float) -> None:
        asking = asyncio.ensure_future(self._translator.translate(event.sentence, "en", "es"))
        self._waiting = asking if isinstance(event, Partial) else None
        await asyncio.wait({asking})
        self._waiting = None
        if asking.cancelled():  # a final has come meanwhile
            return
        spanish = asking.result()
        if spanish is None and not self._without:
            self._warn("no_translation", "The translation does not answer; captions go on without it until it does.")
        self._without = spanish is None
        late_ms = (time.monotonic() - came) * 1000
        text = event.text.model_copy(update={"es": spanish})
        self._send(event.model_copy(update={"text": text, "lag_ms": round(event.lag_ms + late_ms, 1)}))
