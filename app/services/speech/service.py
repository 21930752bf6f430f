"""SpeechService: whole requests about speech. Nothing runs on the event loop, and only a bounded number at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from app.core import errors
from app.core.limits import ConcurrencyLimit
from app.core.settings import Settings
from app.services.conversation.translation import PatientTranslator
from app.services.speech.engines import Engines, Listed
from app.speech import audio, text
from app.speech.engines import (
    EngineFailed,
    EngineMissing,
    LiveTranscriber,
    Reference,
    Sound,
    Transcript,
    Translator,
    UnsupportedLanguage,
    Voice,
)

#: Characters of a text that is to be translated or spoken.
MAX_TEXT = 5_000
#: Requests of one kind at once, running and waiting.
MAX_REQUESTS = 16
#: Threads that decode and transcribe whole files; live speech has its own.
FILE_THREADS = 2
TRANSLATION_THREADS, VOICE_THREADS = 2, 2
#: Seconds that the answer of a clip waits for its translation.
CLIP_WAIT_S = 5.0
_AUDIO: dict[audio.Refusal, type[errors.ServiceError]] = {
    "not_audio": errors.NotAudio,
    "no_audio": errors.NotAudio,
    "bad_audio": errors.UndecodableAudio,
    "truncated": errors.UndecodableAudio,
    "too_long": errors.AudioTooLong,
}
_OFF = "This service has no engine for {}: the setting {} is off."

T = TypeVar("T")
_END = object()


class SpeechService:
    """One per process; use from one event loop. Call `close` at the end."""

    def __init__(self, settings: Settings, engines: Engines) -> None:
        self._settings, self.engines = settings, engines
        self._limits = {
            kind: ConcurrencyLimit(MAX_REQUESTS, f"requests for {kind}")
            for kind in ("transcription", "translation", "voice")
        }
        self._threads = {
            "transcription": ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="transcribe"),
            "translation": ThreadPoolExecutor(TRANSLATION_THREADS, thread_name_prefix="translate"),
            "captions": ThreadPoolExecutor(TRANSLATION_THREADS, thread_name_prefix="spanish"),
            "rewriting": ThreadPoolExecutor(2 * TRANSLATION_THREADS, thread_name_prefix="rewrite"),
            "voice": ThreadPoolExecutor(VOICE_THREADS, thread_name_prefix="voice"),
        }
        self._closing = threading.Event()

    async def close(self) -> None:
        self._closing.set()
        for threads in self._threads.values():
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        await asyncio.to_thread(self.engines.close)

    async def listed(self) -> list[Listed]:
        return await asyncio.to_thread(self.engines.listed)

    # -- the chosen engines --------------------------------------------------------------------------------------------

    def transcriber(self) -> LiveTranscriber:
        """Raises SpeechUnavailable."""
        return _there(self.engines.transcriber, "transcription", "SPEECH_TRANSCRIBER")

    async def ready_to_listen(self) -> None:
        """Load what transcribes, if it is not. Raises SpeechUnavailable, SpeechFailed."""
        with speech_errors_as_service_errors():
            await asyncio.to_thread(lambda: self.transcriber().load())

    def translator(self) -> Translator:
        """Raises SpeechUnavailable."""
        return _there(self.engines.translator, "translation", "SPEECH_TRANSLATOR")

    def voice(self) -> Voice:
        """Raises SpeechUnavailable."""
        return _there(self.engines.voice, "voices", "SPEECH_VOICE")

    def to_spanish(self) -> Callable[[str], str]:
        """Translates English sentences; blocks, and raises what engines raise. Raises SpeechUnavailable."""
        engine = self.translator()
        return lambda sentence: engine.translate(sentence, "en", "es")

    # -- requests ------------------------------------------------------------------------------------------------------

    async def transcribe(
        self, file: Path, language: str | None = None, words: bool = True, longest_s: float | None = None
    ) -> Transcript:
        """longest_s: a limit below MAX_SPEECH_S. Cancelling the call stops the work soon. Raises NotAudio,
        UndecodableAudio, AudioTooLong, UnsupportedLanguage, SpeechUnavailable, SpeechFailed, Busy."""
        engine, gone = self.transcriber(), threading.Event()
        limits = audio.Limits(min(longest_s or self._settings.max_speech_s, self._settings.max_speech_s))

        def work() -> Transcript:
            samples = audio.decode(file, limits)
            return engine.transcribe(samples, language, words, lambda: gone.is_set() or self._closing.is_set())

        try:
            return await self._run("transcription", work)
        finally:
            gone.set()

    async def translate(self, content: str, target: str, source: str | None = None) -> tuple[str, str]:
        """The translation, and the source language, which is guessed where None. Raises TextTooLong,
        UnsupportedLanguage, SpeechUnavailable, SpeechFailed, Busy."""
        engine, checked = self.translator(), checked_text(content)
        known = source or text.language_of(checked)
        return await self._run("translation", lambda: engine.translate(checked, known, target)), known

    # -- beside captions of signs --------------------------------------------------------------------------------------

    def translates(self) -> bool:
        """Whether a translator is installed. Looks for files."""
        return self.engines.translator is not None and self.engines.translator.availability().available

    async def translated(self, content: str, source: str, target: str) -> str:
        """Without the limits of requests: sentences of captions come from this service itself. Raises
        SpeechUnavailable, SpeechFailed."""
        engine, loop = self.translator(), asyncio.get_running_loop()
        with speech_errors_as_service_errors():
            threads = self._threads["captions"]
            return await loop.run_in_executor(threads, engine.translate, content, source, target)

    async def rewritten(self, glosses: str, sentence: str) -> str:
        """Raises SpeechUnavailable, SpeechFailed."""
        loop = asyncio.get_running_loop()
        with speech_errors_as_service_errors():
            return await loop.run_in_executor(
                self._threads["rewriting"], self.engines.rewriter.rewrite, glosses, sentence
            )

    def fluent(self, wait_s: float) -> Callable[[str, str], Awaitable[str | None]]:
        """Glosses and the sentence of the rules -> a fluent one; None where it is not there after wait_s."""

        async def ask(sentence: str, glosses: str, _: str) -> str:
            return await self.rewritten(glosses, sentence)

        patient = PatientTranslator(ask, lambda: True, wait_s, what="fluent sentences")
        return lambda glosses, sentence: patient.translate(sentence, glosses, "fluent")

    def spanish_of_clips(self, translator: PatientTranslator) -> Callable[[str], Awaitable[str | None]]:
        """For clips, which may wait a little longer than live captions."""

        async def spanish(sentence: str) -> str | None:
            if not await asyncio.to_thread(self.translates):
                return None
            return await translator.translate(sentence, "en", "es", CLIP_WAIT_S)

        return spanish

    # -- voice ---------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def speaking(
        self, content: str, language: str, reference: Reference | None = None
    ) -> AsyncIterator[Iterator[Sound]]:
        """Sound, one piece after the other; its iterator blocks. Holds a place until the block ends. Raises
        TextTooLong, InvalidRequest, UnsupportedLanguage, SpeechUnavailable, Busy."""
        engine, checked = self.voice(), checked_text(content)
        if not any(character.isalnum() for character in checked):
            raise errors.InvalidRequest("text: there is nothing in it that can be spoken.")
        with self._limits["voice"].enter(), speech_errors_as_service_errors():
            yield engine.speak(checked, language, reference)

    async def synthesise(
        self, content: str, language: str, form: audio.Format, reference: Reference | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an audio file as they become ready. Raises as `speaking` does, before the first piece."""
        async with self.speaking(content, language, reference) as sounds:
            pieces = audio.encoded(sounds, form)
            loop, threads = asyncio.get_running_loop(), self._threads["voice"]
            while True:
                with speech_errors_as_service_errors():
                    piece = await loop.run_in_executor(threads, next, pieces, _END)
                if piece is _END or self._closing.is_set():
                    return
                assert isinstance(piece, bytes)
                yield piece

    async def _run(self, kind: str, work: Callable[[], T]) -> T:
        with self._limits[kind].enter(), speech_errors_as_service_errors():
            return await asyncio.get_running_loop().run_in_executor(self._threads[kind], work)


def checked_text(content: str) -> str:
    """Cleaned. Raises TextTooLong."""
    if len(content) > MAX_TEXT:
        raise errors.TextTooLong(f"The text has {len(content)} characters; the limit is {MAX_TEXT}. Split it.")
    return text.cleaned(content)


E = TypeVar("E", LiveTranscriber, Translator, Voice)


def _there(engine: E | None, what: str, setting: str) -> E:
    if engine is None:
        raise errors.SpeechUnavailable(_OFF.format(what, setting), remedy=f"Set {setting}=auto.")
    found = engine.availability()
    if not found.available:
        raise unavailable(EngineMissing(found))
    return engine


def unavailable(problem: EngineMissing) -> errors.SpeechUnavailable:
    remedy = problem.found.remedy
    how = remedy if remedy.startswith(("Set ", "Correct ")) else f"Install it with: {remedy}."
    return errors.SpeechUnavailable(f"{problem.found.detail} {how}", remedy=remedy)


@contextlib.contextmanager
def speech_errors_as_service_errors() -> Iterator[None]:
    try:
        yield
    except audio.InvalidAudio as problem:
        raise _AUDIO[problem.code](str(problem)) from problem
    except UnsupportedLanguage as problem:
        raise errors.UnsupportedLanguage(str(problem)) from problem
    except EngineMissing as problem:
        raise unavailable(problem) from problem
    except EngineFailed as problem:
        raise errors.SpeechFailed(f"{problem} Try again in a moment.") from problem
