"""Where speech begins and ends in a stream of samples, by its loudness above the noise around it."""

from __future__ import annotations

import numpy as np

from app.speech.engines import SAMPLE_RATE, Samples

FRAME = SAMPLE_RATE // 50
"""Samples of one look: 20 ms."""
#: Loudness (RMS) that is speech in any room, and times the noise that is.
QUIET, ABOVE_NOISE = 0.006, 3.0
#: The noise is the loudness that a tenth of the last seconds stays below.
_NOISE_FRAMES, _NOISE_SHARE = 250, 0.1
#: Frames in a row that begin speech: a click is none.
_BEGIN = 3


class Endpointer:
    """Fed with samples in order; counts in samples from the beginning of the stream."""

    def __init__(self) -> None:
        self.position = 0
        """Samples looked at."""
        self.last_loud = -1
        """End of the last loud frame; -1: there was none."""
        self._rest = np.zeros(0, np.float32)
        self._levels: list[float] = []
        self._in_a_row = 0

    def add(self, samples: Samples) -> bool:
        """Whether speech was heard in these samples."""
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // FRAME
        self._rest = samples[count * FRAME :]
        levels = np.sqrt(np.mean(samples[: count * FRAME].reshape(count, FRAME) ** 2, axis=1))
        heard = False
        for level in levels.tolist():
            self.position += FRAME
            self._levels.append(level)
            del self._levels[:-_NOISE_FRAMES]
            noise = sorted(self._levels)[int(len(self._levels) * _NOISE_SHARE)]
            # What is loud all the time is no noise floor until it has lasted for seconds.
            floor = noise if len(self._levels) >= _NOISE_FRAMES // 2 else min(noise, QUIET)
            loud = level > max(QUIET, min(ABOVE_NOISE * floor, 0.05))
            self._in_a_row = self._in_a_row + 1 if loud else 0
            if self._in_a_row >= _BEGIN:
                heard, self.last_loud = True, self.position
        return heard

    @property
    def waiting(self) -> int:
        """Samples that were added and not yet looked at: less than a frame."""
        return len(self._rest)

    @property
    def silence_s(self) -> float:
        """Seconds since speech was last heard."""
        return (self.position - max(0, self.last_loud)) / SAMPLE_RATE
