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


def music(seconds: float) -> NDArray[np.int16]:
    """Broken chords of plucked strings over a bass, and a beat."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    beat = time % 0.25
    note = np.array([220.0, 277.2, 329.6, 440.0])[(time / 0.25).astype(int) % 4]
    strings = sum(np.sin(2 * np.pi * note * k * time) / k for k in range(1, 6)) * np.exp(-6 * beat)
    drum = np.random.default_rng(0).normal(size=len(time)) * np.exp(-60 * (time % 0.5))
    mixed = 0.4 * strings + 0.4 * np.sin(2 * np.pi * 110 * time) + 0.3 * drum
    return (6000 * mixed).clip(-32_000, 32_000).astype(np.int16)


def huge_wav(path: Path, hours: float) -> None:
    """A sparse file of that length."""
    rate, size = 16_000, int(hours * 3600) * 32_000
    with path.open("wb") as file:
        file.write(audio.wav_header(rate, size // 2))
        file.truncate(44 + size)
