"""Piper: neural voices, offline, where voice files (.onnx with .onnx.json beside it) are configured."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.speech.engines import (
    Availability,
    EngineFailed,
    EngineMissing,
    OwnUse,
    Reference,
    Sound,
    UnsupportedLanguage,
    known,
)
from app.speech.text import cleaned, sentences


class Piper:
    """A Voice. Thread-safe: one sentence at a time."""

    name = "piper"
    own: OwnUse = "none"

    def __init__(self, voices: Mapping[str, Path]) -> None:
        """voices: the file of each language."""
        self._files, self._voices = dict(voices), dict[str, Any]()
        self._lock = threading.Lock()

    def availability(self) -> Availability:
        if not self._files:
            return Availability(False, "No Piper voice is configured.", "Set PIPER_VOICES=en=FILE.onnx,es=FILE.onnx.")
        for file in self._files.values():
            if not (file.is_file() and Path(f"{file}.json").is_file()):
                return Availability(False, f"{file.name} or {file.name}.json is missing.", "Correct PIPER_VOICES.")
        if importlib.util.find_spec("piper") is None:
            return Availability(False, "piper-tts is not installed.", "python -m pip install piper-tts")
        return Availability(True, f"Piper: {', '.join(f'{code} {file.stem}' for code, file in self._files.items())}")

    def speak(self, text: str, language: str, reference: Reference | None = None) -> Iterator[Sound]:
        found = self.availability()
        if not found.available:
            raise EngineMissing(found)
        if known(language) not in self._files:
            raise UnsupportedLanguage(f"There is no Piper voice for '{language}'; set PIPER_VOICES.")
        return self._spoken(text, language)

    def _spoken(self, text: str, language: str) -> Iterator[Sound]:
        for sentence in sentences(cleaned(text)):
            with self._lock:
                try:
                    chunks = list(self._voice(language).synthesize(sentence))
                except (RuntimeError, ValueError, OSError, KeyError) as problem:
                    raise EngineFailed("Piper failed.") from problem
            for chunk in chunks:
                yield Sound(chunk.audio_int16_array, chunk.sample_rate)

    def _voice(self, language: str) -> Any:
        if language not in self._voices:
            from piper import PiperVoice

            self._voices[language] = PiperVoice.load(self._files[language])
        return self._voices[language]

    def close(self) -> None:
        with self._lock:
            self._voices.clear()
