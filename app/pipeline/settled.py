"""Readings of a sentence's signs that later rows cannot change, so that a stream computes each of them once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.recogniser import Recogniser

#: A token with its confidence.
Reading = tuple[DecodedToken, float]


class SettledReadings:
    """For one sentence."""

    def __init__(self) -> None:
        self._tokens: Sequence[DecodedToken] = ()  # as decoded: those of the readings, and the one behind them
        self._readings: list[Reading] = []

    def read(
        self,
        recogniser: Recogniser,
        tokens: Sequence[DecodedToken],
        rows: NDArray[np.float32],
        pending: NDArray[np.float32],
        first_step: int,
    ) -> list[Reading]:
        """What `recogniser.readings` gives for all tokens over `rows` and `pending`, the first being `first_step`."""
        known = self._unchanged(tokens)
        if known == len(tokens):
            return self._readings[:known]
        # The last known token comes along, since the stretch of the next one begins between the two.
        begin = tokens[known - 1].start_step if known else first_step
        rows = rows[begin - first_step :]
        table = np.concatenate([rows, pending]) if len(pending) else rows
        rest = recogniser.readings(tokens[max(known - 1, 0) :], table, begin)
        return [*self._readings[:known], *(rest[1:] if known else rest)]

    def keep(self, tokens: Sequence[DecodedToken], readings: Sequence[Reading], settled: int) -> None:
        """The first `settled` of these readings rest on final rows alone."""
        self._tokens, self._readings = tokens[: settled + 1], list(readings[:settled])

    def _unchanged(self, tokens: Sequence[DecodedToken]) -> int:
        """Of how many tokens, from the first on, the reading is known: they and their neighbours are as they were."""
        same = 0
        for old, new in zip(self._tokens, tokens, strict=False):
            if old != new:
                break
            same += 1
        whole = same == len(self._tokens)
        return min(same if whole else max(same - 1, 0), len(self._readings))
