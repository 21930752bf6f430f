"""Finished sentences of a live session read aloud: one after the other, and dropped rather than queued."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from app.core.errors import DatabaseUnavailable, InternalError, NoOwnVoice, ServiceError
from app.core.principal import Principal
from app.services.conversation.events import Audio
from app.services.conversation.outbox import Outbox

#: Samples per second of the sound, 16-bit mono.
RATE = 24_000
#: Samples of the first piece, which should be heard at once, and of the others.
FIRST_PIECE, PIECE = RATE // 10, RATE // 2
#: Sentences that wait to be read aloud; events that wait for the client, above which it gets no more sound.
MAX_SENTENCES, MAX_WAITING = 4, 24
LATE = "The voice cannot keep up; a sentence was not read aloud."
NOT_READ = "The client reads too slowly; a sentence was not read aloud to its end."


Speak = Callable[[str, str], AsyncGenerator[bytes, None]]
"""Text, language -> pieces of 16-bit mono sound at RATE. Raises ServiceError."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice for one session."""

    speak: Speak
    own: str | None
    """What it makes of the person's own voice, `cloned`, `fitted` or `none`; None: not asked for."""


class Voices(Protocol):
    """What live sessions need of the service that reads aloud."""

    async def speaker(self, principal: Principal, own: bool) -> Speaker:
        """own: in the person's own voice. Raises SpeechUnavailable, NoOwnVoice, DatabaseUnavailable."""
        ...


async def speaker_for(voices: Voices, principal: Principal, own: bool) -> tuple[Speaker, str | None]:
    """With why it is not the person's own voice, where that was asked for in vain. Raises SpeechUnavailable."""
    try:
        return await voices.speaker(principal, own), None
    except (NoOwnVoice, DatabaseUnavailable) as problem:
        return await voices.speaker(principal, False), problem.detail


class SpokenSentences:
    """Of one session. Use from one event loop."""

    def __init__(
        self, speak: Speak, outbox: Outbox, send: Callable[[Audio], object], warn: Callable[[str, str], object]
    ) -> None:
        """outbox: of the session; its length says whether the client keeps up. warn: code, message."""
        self._speak, self._outbox, self._send, self._warn = speak, outbox, send, warn
        self._waiting: deque[tuple[int, str, str]] = deque()
        self._speaker: asyncio.Task[None] | None = None

    def put(self, segment: int, content: str, language: str) -> None:
        """Read this sentence aloud after those before it; if too many wait, it is dropped with a warning."""
        if len(self._waiting) >= MAX_SENTENCES:
            self._warn("voice_late", LATE)
            return
        self._waiting.append((segment, content, language))
        if self._speaker is None or self._speaker.done():
            self._speaker = asyncio.create_task(self._run(), name="voice")

    async def spoken(self) -> None:
        """Return when everything has been read aloud."""
        while self._speaker is not None and not self._speaker.done():
            await asyncio.wait({self._speaker})

    async def close(self) -> None:
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.gather(self._speaker, return_exceptions=True)

    async def _run(self) -> None:
        while self._waiting:
            segment, content, language = self._waiting.popleft()
            try:
                await self._one(segment, content, language)
            except ServiceError as problem:
                self._warn("no_voice", problem.detail)
            except Exception:  # noqa: BLE001 - captions go on without the voice
                self._warn("no_voice", InternalError.example)

    async def _one(self, segment: int, content: str, language: str) -> None:
        pending, most = b"", 2 * FIRST_PIECE
        async with aclosing(self._speak(content, language)) as pieces:
            async for sound in pieces:
                pending += sound
                while len(pending) > most:
                    if self._outbox.waiting > MAX_WAITING:
                        self._warn("voice_late", NOT_READ)
                        return
                    self._put(segment, language, pending[:most], False)
                    pending, most = pending[most:], 2 * PIECE
        self._put(segment, language, pending, True)

    def _put(self, segment: int, language: str, data: bytes, last: bool) -> None:
        encoded = base64.b64encode(data).decode()
        self._send(Audio(segment=segment, language=language, rate=RATE, data=encoded, last=last))
