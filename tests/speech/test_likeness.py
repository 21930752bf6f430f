"""Pitch and pace of a voice, on sounds of known pitch; and espeak-ng fitted to them."""

from __future__ import annotations

import numpy as np
import pytest

from app.speech import audio
from app.speech.engines import SAMPLE_RATE, Passage, Reference, Samples, Transcript, Word
from app.speech.likeness import NoVoice, measured
from app.speech.voice.espeak import Espeak, fitted
from tests.support.speech import need

TEXT = "My sister lives in a small house near the sea, and the children are playing in the garden."


def voice(hertz: float, seconds: float = 4.0, noise: float = 0.0) -> Samples:
    """Pulses through two formants, in syllables of a quarter of a second."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = [
        np.sin(2 * np.pi * hertz * k * time) * np.exp(-(((hertz * k - 600) / 700) ** 2))
        for k in range(1, int(4000 / hertz))
    ]
    syllables = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)
    sound = 0.3 * syllables * np.sum(waves, axis=0) / len(waves) ** 0.5
    return (sound + noise * np.random.default_rng(0).normal(size=len(time))).astype(np.float32)


@pytest.mark.parametrize("hertz", [75, 110, 160, 220, 300, 400])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_known_pitch_is_found(hertz: float, noise: float) -> None:
    assert measured(voice(hertz, noise=noise)).pitch_hz == pytest.approx(hertz, rel=0.03)


@pytest.mark.parametrize("kind", ["silence", "noise", "short"])
def test_what_is_no_voice_is_refused(kind: str) -> None:
    samples = {
        "silence": np.zeros(64_000, np.float32),
        "noise": np.random.default_rng(1).normal(0, 0.2, 64_000).astype(np.float32),
        "short": voice(120, 0.2),
    }[kind]
    with pytest.raises(NoVoice):
        measured(samples)


def test_the_pace_comes_from_the_words() -> None:
    words = tuple(Word("word", k / 2, k / 2 + 0.5) for k in range(8))
    said = Transcript("en", None, (Passage("", 0, 4, words),), 4.0)
    assert measured(voice(120), said).characters_a_s == pytest.approx(10)
    assert measured(voice(120)).characters_a_s is None


@pytest.mark.parametrize("hertz", [80, 100, 130, 165])
@pytest.mark.parametrize("language", ["en", "es"])
def test_espeak_speaks_as_high_as_the_sample(hertz: float, language: str) -> None:
    need(Espeak())
    spoken = Espeak().speak(TEXT, language, Reference(b"", hertz, None))
    heard = audio.decode(audio.whole_wav(spoken), audio.Limits(60))
    assert measured(heard).pitch_hz == pytest.approx(hertz, rel=0.08)


def test_espeak_speaks_as_fast_as_the_sample_within_limits() -> None:
    assert fitted(Reference(b"", 100, 18.5))[0] == 165
    assert fitted(Reference(b"", 100, 14))[0] == pytest.approx(125, abs=2)
    assert [fitted(Reference(b"", 100, pace))[0] for pace in (0.1, 500)] == [110, 240]
    assert fitted(Reference(b"", 20, None)) == (165, 0)
    assert fitted(Reference(b"", 400, None)) == (165, 99)
