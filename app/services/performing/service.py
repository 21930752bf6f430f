"""PerformingService: text or glosses to one performance of the prototype signer. Nothing runs on the event loop."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from app.core import errors
from app.core.limits import ConcurrencyLimit
from app.pipeline.glossing import Glosser, Glossing, Item
from app.pipeline.keypoints import Keypoints
from app.services.speech.service import SpeechService
from app.signer import prototypes
from app.signer.prototypes import PrototypeSigner
from app.signer.render import video_pieces
from app.speech import text as texts

#: Characters of a text; signs of a performance, letters included; items, words without a sign included.
MAX_TEXT, MAX_SIGNS, MAX_ITEMS = 500, 60, 100
#: Seconds of a performance that is drawn as video.
MAX_VIDEO_S = 30.0
#: Requests at once that are worked out, and that are drawn.
MAX_REQUESTS, MAX_VIDEOS = 16, 4
THREADS, VIDEO_THREADS = 2, 1
NOTICE = (
    "Signs of American Sign Language in the order of simple rules, by a drawn figure without facial expression: a help "
    "for single sentences, not an interpreter. Do not rely on it where a mistake would matter."
)

_NO = re.compile(r"\bno\b", re.IGNORECASE)

T = TypeVar("T")
_END = object()


@dataclass(frozen=True, slots=True)
class Glossed:
    """A text and its glosses."""

    text: str
    """As given, without control characters."""
    language: str
    english: str
    """What the glosses were made of: the text, or its translation. Places of words are places in it."""
    translator: str | None
    """Name of the engine that translated it."""
    glossing: Glossing


@dataclass(frozen=True, slots=True)
class Performed:
    """Items and their performance."""

    items: tuple[Item, ...]
    keypoints: Keypoints
    times: tuple[tuple[float, float], ...]
    """Start and end of each item, in seconds."""


class PerformingService:
    """One per process; use from one event loop. Call `close` at the end."""

    def __init__(self, speech: SpeechService) -> None:
        self._speech = speech
        self._signer: PrototypeSigner | None = None
        self._glosser: Glosser | None = None
        self._requests = ConcurrencyLimit(MAX_REQUESTS, "performances")
        self._videos = ConcurrencyLimit(MAX_VIDEOS, "videos of performances", retry_after_s=10)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="perform")
        self._drawing = ThreadPoolExecutor(VIDEO_THREADS, thread_name_prefix="draw")
        self._closing = threading.Event()

    async def close(self) -> None:
        self._closing.set()
        for threads in (self._threads, self._drawing):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    @property
    def drawing(self) -> int:
        """Videos that are being drawn."""
        return self._videos.in_use

    @property
    def signer(self) -> PrototypeSigner:
        """Reads a file the first time."""
        if self._signer is None:
            self._signer = prototypes.load()
        return self._signer

    def glosses_of(self, english: str) -> Glossing:
        """Blocks; the first call reads a dictionary."""
        if self._glosser is None:
            self._glosser = Glosser(self.signer)
        return self._glosser.gloss(english)

    def needs_translation(self, text: str, language: str | None) -> bool:
        """Whether this text is not English. Raises TextTooLong, InvalidRequest, UnsupportedLanguage."""
        return self._language(checked(text), language) != "en"

    def _language(self, text: str, language: str | None) -> str:
        # "No" is as often English, and most so where nothing else is said.
        found = language or texts.language_of(_NO.sub(" ", text))
        if found not in ("en", "es"):
            raise errors.UnsupportedLanguage(f"There are no signs for text in '{found[:20]}'; send English or Spanish.")
        return found

    async def glossed(self, text: str, language: str | None = None) -> Glossed:
        """language: "en", "es" or None: guessed. Raises TextTooLong, InvalidRequest, UnsupportedLanguage,
        SpeechUnavailable, SpeechFailed, Busy."""
        content = checked(text)
        language = self._language(content, language)
        english, engine = content, None
        if language != "en":
            engine = self._speech.translator().name
            english = (await self._speech.translate(content, "en", language))[0]
            english = checked(english[:MAX_TEXT] or content)
        glossing = await self._run(lambda: self.glosses_of(english))
        return Glossed(content, language, english, engine, glossing)

    async def signs_of(self, english: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Glosses of a sentence of a caption, and words that have no sign. Raises Busy."""
        glossing = await self._run(lambda: self.glosses_of(texts.cleaned(english)[:MAX_TEXT]))
        return glossing.glosses, glossing.without_sign

    async def glosses(self, wanted: Sequence[str]) -> tuple[Item, ...]:
        """Glosses that a client names, as items. Raises UnknownSign."""

        def items() -> tuple[Item, ...]:
            names = [gloss.strip().upper() for gloss in wanted]
            missing = list(dict.fromkeys(name for name in names if name not in self.signer))
            if missing:
                named = "; ".join(map(self.signer.with_nearest, missing[:5]))
                raise errors.UnknownSign(
                    f"There is no performance of {named}. GET /api/signs lists the signs there are."
                )
            return tuple(Item("sign", name, (name,), ()) for name in names)

        return await self._run(items)

    async def perform(self, items: Sequence[Item]) -> Performed:
        """Raises InvalidRequest where there is nothing to show, TextTooLong where there is too much, Busy."""
        signs = sum(len(item.glosses) for item in items)
        if not items:
            raise errors.InvalidRequest("There is nothing to show: the text has no words that are signed.")
        if signs > MAX_SIGNS or len(items) > MAX_ITEMS:
            raise errors.TextTooLong(
                f"The text becomes {signs} signs and {len(items)} words; a performance has at most {MAX_SIGNS} and "
                f"{MAX_ITEMS}. Split it."
            )

        def work() -> Performed:
            staged = self.signer.staged([item.glosses for item in items])
            return Performed(tuple(items), staged.keypoints, staged.times)

        return await self._run(work)

    async def video(self, performed: Performed) -> AsyncGenerator[bytes, None]:
        """The performance as an mp4 file, in pieces as they are drawn. Raises VideoTooLong, Busy, before the first."""
        seconds = performed.keypoints.duration_s
        if seconds > MAX_VIDEO_S:
            raise errors.TextTooLong(f"The video would last {seconds:.0f} s; the limit is {MAX_VIDEO_S:g} s. Split it.")
        with self._videos.enter():
            pieces, loop = video_pieces(performed.keypoints), asyncio.get_running_loop()
            try:
                while not self._closing.is_set():
                    piece = await loop.run_in_executor(self._drawing, next, pieces, _END)
                    if piece is _END:
                        return
                    assert isinstance(piece, bytes)
                    if piece:
                        yield piece
            finally:
                if not self._closing.is_set():  # the frame that is being drawn comes first: one thread, in turn
                    self._drawing.submit(pieces.close)

    async def _run(self, work: Callable[[], T]) -> T:
        with self._requests.enter():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def checked(text: str) -> str:
    """Without control characters. Raises TextTooLong; InvalidRequest for a text without a letter or digit."""
    if len(text) > MAX_TEXT:
        raise errors.TextTooLong(f"The text has {len(text)} characters; the limit is {MAX_TEXT}. Split it.")
    content = texts.cleaned(text)
    if not any(character.isalnum() for character in content):
        raise errors.InvalidRequest("text: there is nothing in it that can be signed.")
    return content
