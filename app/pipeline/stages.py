"""The stages of recognition, and how an observer learns how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DECODE, LANDMARKS, IMAGES, FEATURES, TEMPORAL, DECODING, LANGUAGE = STAGES = (
    "decode",  # compressed images -> pixels
    "landmarks",  # pixels -> keypoints
    "pictures",  # crops around the keypoints -> what the RGB encoder makes of them
    "features",  # keypoints -> what the network reads
    "temporal",  # the network
    "decoding",  # its lattice -> glosses
    "language",  # glosses -> a sentence
)

#: Called with the stage and the seconds spent in it, from any thread.
OnStage = Callable[[str, float], None]


def no_op_observer(stage: str, seconds: float) -> None:
    """Ignore the stage times."""


class Stopwatch:
    """Seconds per named stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, on_stage: OnStage) -> None:
        for stage, seconds in self.seconds.items():
            on_stage(stage, seconds)
