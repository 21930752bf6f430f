"""Pictures of a signer become the 75 keypoints: one stream (MediaPipeExtractor) or several at once (ExtractorPool)."""

from __future__ import annotations

import importlib.metadata
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, NUM_KEYPOINTS, Keypoints
from app.pipeline.module1_preprocessing.landmarks.holistic_graph import (
    ExtractionFailed,
    HolisticGraph,
    LandmarksUnavailable,
)
from app.pipeline.module1_preprocessing.landmarks.native_log import chatter_filtered
from app.pipeline.module1_preprocessing.video import Frame

__all__ = [
    "ExtractionFailed",
    "ExtractorPool",
    "LandmarksUnavailable",
    "MediaPipeExtractor",
    "OnLandmarks",
    "PoseExtractor",
    "extractor_version",
]

#: Hears of a picture, uint8 (H, W, 3), together with its landmarks (75, 3); may answer with what an RGB encoder makes
#: of it, float32 (D,), of every picture or of none.
OnLandmarks = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32] | None]

#: Pictures in the graph at once: while the hands of one are found, the body of the next is.
_IN_FLIGHT = 3


#: Counts up whenever the same pictures would give other landmarks or crops for a reason that lies here.
_REVISION = 1


def extractor_version() -> str:
    """Names whose landmarks these are: results of two versions must not be mixed unnoticed."""
    try:
        release = importlib.metadata.version("mediapipe")
    except importlib.metadata.PackageNotFoundError:
        release = "none"
    return f"mediapipe-{release}-{_REVISION}"


class PoseExtractor(Protocol):
    """Anything that finds the 75 keypoints. One instance serves one stream at a time, from one thread at a time."""

    def extract(self, frames: Iterable[Frame], on_landmarks: OnLandmarks | None = None) -> Keypoints:
        """A whole clip, tracked from a fresh start. No frames give an empty Keypoints.

        on_landmarks: told of every picture looked at, in order; its answers become Keypoints.rgb_features.
        """
        ...

    def extract_frame(self, rgb: NDArray[np.uint8], time_s: float) -> NDArray[np.float32]:
        """The next picture of a running stream, uint8 (H, W, 3) -> float32 (75, 3) as in Keypoints.points."""
        ...

    def reset(self) -> None:
        """Forgets the person being tracked: the next picture starts a new stream."""
        ...

    def close(self) -> None: ...


class MediaPipeExtractor:
    """The keypoints of MediaPipe Holistic, bit for bit, without computing its face.

    Raises LandmarksUnavailable on creation, ExtractionFailed when the graph breaks (then `usable` turns False).
    """

    def __init__(self) -> None:
        self._graph = HolisticGraph()
        self._fresh = True
        self.usable = True

    def extract(self, frames: Iterable[Frame], on_landmarks: OnLandmarks | None = None) -> Keypoints:
        """on_landmarks: told as soon as a picture's landmarks are known; only a few pictures are held."""
        self.reset()
        waiting: deque[NDArray[np.uint8]] = deque()
        rows: list[NDArray[np.float32]] = []
        seen: list[NDArray[np.float32]] = []
        times: list[float] = []
        aspect = DEFAULT_ASPECT

        def take() -> None:
            rows.append(self.receive())
            if on_landmarks is not None and (row := on_landmarks(waiting.popleft(), rows[-1])) is not None:
                seen.append(row)

        with _first_clip_quiet():
            for frame in frames:
                if not times:
                    aspect = frame.rgb.shape[1] / frame.rgb.shape[0]
                if self._graph.pending >= _IN_FLIGHT:
                    take()
                self.send(frame.rgb)
                times.append(frame.time_s)
                if on_landmarks is not None:
                    waiting.append(frame.rgb)
            while self._graph.pending:
                take()
        points = np.stack(rows) if rows else np.zeros((0, NUM_KEYPOINTS, 3), np.float32)
        return Keypoints(points, np.asarray(times, np.float64), aspect, np.stack(seen) if seen else None)

    def extract_frame(self, rgb: NDArray[np.uint8], time_s: float) -> NDArray[np.float32]:
        self.send(rgb)
        return self.receive()

    def send(self, rgb: NDArray[np.uint8]) -> None:
        """Hands over the next picture of a running stream and returns at once. Raises ExtractionFailed."""
        self._fresh = False
        try:
            self._graph.send(rgb)
        except ExtractionFailed:
            self.usable = False
            raise

    def receive(self) -> NDArray[np.float32]:
        """Waits for the landmarks (75, 3) of the oldest picture not yet received. Raises ExtractionFailed."""
        try:
            return self._graph.receive()
        except ExtractionFailed:
            self.usable = False
            raise

    def reset(self) -> None:
        if self._fresh:
            return
        try:
            self._graph.restart()
        except (ExtractionFailed, LandmarksUnavailable):
            self.usable = False
            raise
        self._fresh = True

    def close(self) -> None:
        self.usable = False
        self._graph.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class ExtractorPool:
    """Up to `size` extractors, lent out one clip at a time; made on first need, kept for the next clip.

    Threads share the pool: MediaPipe does its work outside Python's lock, so threads use the cores as fully as
    processes would, without copying pictures between processes or holding the models once more for each.
    """

    def __init__(self, size: int | None = None) -> None:
        """size: extractors at most, default one for each core."""
        self.size = size if size is not None else os.cpu_count() or 1
        if self.size < 1:
            raise ValueError(f"a pool of {self.size} extractors cannot serve anybody; the least is 1")
        self._idle: list[MediaPipeExtractor] = []
        self._lent = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def acquire(self, timeout_s: float | None = None) -> Iterator[MediaPipeExtractor]:
        """A fresh extractor for one stream; waits while all are lent, at most timeout_s (None: without end).

        Raises TimeoutError when none came free in time, RuntimeError after close(), LandmarksUnavailable.
        """
        extractor = self._take(timeout_s)
        try:
            extractor.reset()
            yield extractor
        finally:
            self._return(extractor)

    def borrow(self) -> MediaPipeExtractor:
        """A fresh extractor for as long as one likes, such as a live session; does not count against `size`, and never
        waits. To be given back with `give_back` or closed. Raises LandmarksUnavailable."""
        with self._changed:
            extractor = self._idle.pop() if self._idle else None
        if extractor is None:
            return MediaPipeExtractor()
        try:
            extractor.reset()
        except (ExtractionFailed, LandmarksUnavailable):
            extractor.close()
            return MediaPipeExtractor()
        return extractor

    def give_back(self, extractor: MediaPipeExtractor) -> None:
        """Take back what was borrowed: kept for the next one where there is room, else freed."""
        with self._changed:
            kept = self._keep(extractor)
        if not kept:
            extractor.close()

    def warm_up(self, count: int = 1) -> None:
        """Makes `count` extractors now, so that the first clips do not wait for models to be read."""
        with self._changed:
            missing = min(count, self.size) - len(self._idle) - self._lent
        made = [MediaPipeExtractor() for _ in range(max(0, missing))]
        with self._changed:
            while made and not self._closed and len(self._idle) + self._lent < self.size:
                self._idle.append(made.pop())
            self._changed.notify_all()
        for surplus in made:
            surplus.close()

    def close(self) -> None:
        """Frees every idle extractor now and every lent one when it comes back. May be called twice."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for extractor in idle:
            extractor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _take(self, timeout_s: float | None) -> MediaPipeExtractor:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._closed and self._lent >= self.size:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"all {self.size} landmark extractors were busy for {timeout_s:g} s")
                self._changed.wait(left)
            if self._closed:
                raise RuntimeError("the pool of landmark extractors is closed")
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return MediaPipeExtractor()
        except BaseException:
            with self._changed:
                self._lent -= 1
                self._changed.notify()
            raise

    def _return(self, extractor: MediaPipeExtractor) -> None:
        """Take back what was lent."""
        with self._changed:
            self._lent -= 1
            kept = self._keep(extractor)
        if not kept:
            extractor.close()

    def _keep(self, extractor: MediaPipeExtractor) -> bool:
        """Make it the next one's, if it works and there is room. For whoever holds the lock."""
        keep = extractor.usable and not self._closed and len(self._idle) + self._lent < self.size
        if keep:
            self._idle.append(extractor)
        self._changed.notify()
        return keep


_quiet_done = threading.Event()


@contextmanager
def _first_clip_quiet() -> Iterator[None]:
    """MediaPipe grumbles once in the life of a process, when it first sees a hand."""
    if _quiet_done.is_set():
        yield
        return
    with chatter_filtered():
        yield
    _quiet_done.set()
