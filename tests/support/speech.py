"""What tests of speech need: the engines of this machine, or the reason to skip; spoken files."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.speech import audio
from app.speech.engines import Engine
from app.speech.transcription.whisper import Whisper
from app.speech.translation.apertium import Apertium
from app.speech.voice.espeak import Espeak


def need(*engines: Engine) -> None:
    """Skip unless these can be used here."""
    for engine in engines:
        found = engine.availability()
        if not found.available:
            pytest.skip(f"{found.detail} {found.remedy}")


def need_all() -> None:
    need(Whisper("packages"), Apertium(), Espeak())


def spoken(text: str, language: str, form: audio.Format = "wav") -> bytes:
    """An audio file in which espeak-ng says this."""
    return b"".join(audio.encoded(Espeak().speak(text, language), form))


def wav(samples: NDArray[np.int16], rate: int = 16_000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def tone(seconds: float, rate: int = 16_000) -> NDArray[np.int16]:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def huge_wav(path: Path, hours: float) -> None:
    """A sparse file of that length."""
    rate, size = 16_000, int(hours * 3600) * 32_000
    with path.open("wb") as file:
        file.write(audio.wav_header(rate, size // 2))
        file.truncate(44 + size)
