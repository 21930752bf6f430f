"""How high and how fast a person speaks, measured on a sample: what a synthetic voice can be fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.speech.engines import SAMPLE_RATE, Samples, Transcript

#: Hertz between which voices are looked for.
LOWEST_HZ, HIGHEST_HZ = 60.0, 420.0
#: Samples of a frame, and from one to the next: 48 and 10 ms.
_FRAME, _HOP = 768, 160
#: Height of the autocorrelation's peak (1: perfectly periodic) that makes a frame voiced.
_VOICED = 0.5
#: Frames quieter than this share of the loud ones are not looked at.
_QUIET = 0.1
#: Words from which a pace can be told.
_WORDS = 4


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of a voice."""

    pitch_hz: float
    """Median of the voiced frames."""
    characters_a_s: float | None = None
    """Characters of what is said, a second; None where that was not written down."""


class NoVoice(ValueError):
    """Too little of the sample is a voice."""


def measured(samples: Samples, said: Transcript | None = None) -> Likeness:
    """said: what is said in the sample, with the times of words. Raises NoVoice."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] if len(samples) >= _FRAME else None
    if frames is None or len(frames) < 50:
        raise NoVoice("The sample is too short.")
    levels = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
    loud = levels > _QUIET * np.percentile(levels, 95)
    pitch, height = _pitch(frames[loud])
    voiced = pitch[height > _VOICED]
    if len(voiced) < 30 or levels.max() < 1e-3:
        raise NoVoice("There is hardly any voice in the sample.")
    return Likeness(round(float(np.median(voiced)), 1), _pace(said))


def _pitch(frames: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hertz, and height of the peak, of each frame: the autocorrelation over that of the window (Boersma 1993)."""
    window = np.hanning(_FRAME)
    size = 2 * _FRAME
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    own = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2)[:, :_FRAME]
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[:_FRAME]
    shortest, longest = int(SAMPLE_RATE / HIGHEST_HZ), int(SAMPLE_RATE / LOWEST_HZ)
    ratio = own / np.maximum(own[:, :1], 1e-12) / (of_window / of_window[0])
    lags = np.arange(shortest, longest)
    # Of two peaks of about the same height the shorter lag is the voice, the other one its octave below.
    weighed = ratio[:, shortest:longest] - 0.1 * np.log2(lags / shortest)
    best = weighed.argmax(axis=1)
    return SAMPLE_RATE / lags[best], ratio[np.arange(len(frames)), lags[best]]


def _pace(said: Transcript | None) -> float | None:
    words = said.words if said is not None else ()
    if len(words) < _WORDS or words[-1].end_s <= words[0].start_s:
        return None
    length = sum(len(word.text) + 1 for word in words)
    return round(length / (words[-1].end_s - words[0].start_s), 2)
