"""The three protocols of speech, and what all engines have in common: what is missing, how they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

#: ISO 639-1 codes of the languages that the service speaks.
LANGUAGES = ("en", "es")
#: Samples per second of all audio that is to be transcribed.
SAMPLE_RATE = 16_000

Job = Literal["transcription", "translation", "voice"]
OwnUse = Literal["cloned", "fitted", "none"]
"""What a voice makes of a person's own: that voice, its own with pitch and pace fitted, or nothing."""
Samples = NDArray[np.float32]
"""Mono audio, -1 to 1, at SAMPLE_RATE."""


Stop = Callable[[], bool]
"""Asked from time to time: whether nobody waits for the answer any more."""


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can be used on this machine."""

    available: bool
    detail: str
    """What was found, or what is missing."""
    remedy: str = ""
    """A command or setting that brings what is missing."""


class EngineMissing(Exception):
    """The engine cannot be used on this machine; says what is missing."""

    def __init__(self, found: Availability) -> None:
        super().__init__(f"{found.detail} {found.remedy}".strip())
        self.found = found


class EngineFailed(Exception):
    """The engine was used and did not answer, or not with what it should; the next call may succeed."""


class UnsupportedLanguage(ValueError):
    """The engine does not know this language, or this pair."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times in seconds."""

    text: str
    start_s: float
    end_s: float
    probability: float | None = None
    """0 to 1, where the engine has it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of speech, about a sentence."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said."""

    language: str
    """ISO 639-1."""
    language_probability: float | None
    """0 to 1; None where the language was stated."""
    passages: tuple[Passage, ...]
    duration_s: float
    words: tuple[Word, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(word for passage in self.passages for word in passage.words))

    @property
    def text(self) -> str:
        return " ".join(passage.text for passage in self.passages if passage.text)


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of spoken audio: signed 16-bit mono samples."""

    samples: NDArray[np.int16]
    rate: int
    """Samples per second; the same for all pieces of one text."""


class Engine(Protocol):
    """What every engine has. All methods may block and may be called from any thread, one call at a time."""

    name: str

    def availability(self) -> Availability:
        """Cheap: looks for files and programs, loads nothing."""
        ...

    def close(self) -> None: ...


class Transcriber(Engine, Protocol):
    def transcribe(
        self, samples: Samples, language: str | None = None, words: bool = False, stop: Stop = never
    ) -> Transcript:
        """language: ISO 639-1; None: detected. words: with the times of words, where the engine has them. Raises
        EngineMissing, EngineFailed, UnsupportedLanguage."""
        ...


class LiveTranscriber(Transcriber, Protocol):
    """One that is quick enough for live speech."""

    def load(self) -> None:
        """Get ready for the first audio. Raises EngineMissing, EngineFailed."""
        ...

    def draft(self, samples: Samples, language: str | None) -> Transcript:
        """A quick reading of at most 25 seconds, with the times of words. Raises as `transcribe`."""
        ...


class Translator(Engine, Protocol):
    def translate(self, text: str, source: str, target: str) -> str:
        """Raises EngineMissing, EngineFailed, UnsupportedLanguage."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """A person's own voice."""

    wav: bytes
    """A sample of it: 16-bit mono."""
    pitch_hz: float
    characters_a_s: float | None
    """As in `likeness.Likeness`."""


class Voice(Engine, Protocol):
    own: OwnUse

    def speak(self, text: str, language: str, reference: Reference | None = None) -> Iterator[Sound]:
        """Pieces of audio as they become ready, at least one. reference: whose voice to use, see `own`. Raises
        EngineMissing, EngineFailed, UnsupportedLanguage."""
        ...


def pair(source: str, target: str) -> tuple[str, str]:
    """The pair, if it is one of LANGUAGES. Raises UnsupportedLanguage."""
    for language in (source, target):
        known(language)
    return source, target


def known(language: str) -> str:
    """The language. Raises UnsupportedLanguage."""
    if language not in LANGUAGES:
        raise UnsupportedLanguage(f"The language '{language[:16]}' is not supported; known are {', '.join(LANGUAGES)}.")
    return language
