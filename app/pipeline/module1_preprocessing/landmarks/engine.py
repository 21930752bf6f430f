"""What finds landmarks: an engine opens a track for each stream of images; images go in, landmarks come out in order.

The protocol fits one MediaPipe graph for each stream as well as one batch of networks that serves all streams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, NUM_KEYPOINTS, Keypoints
from app.pipeline.module1_preprocessing.video import Frame

#: Called with an image, uint8 (H, W, 3), and its landmarks (75, 3); may return what an RGB encoder makes of the image,
#: float32 (D,), for every image or for none.
OnLandmarks = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32] | None]


class LandmarksUnavailable(RuntimeError):
    """The engine or its model files are missing or do not work here; the message says what to do."""


class ExtractionFailed(RuntimeError):
    """The engine failed on an image. The track cannot be used any more; the next clip needs a new one."""


class TrackLost(ExtractionFailed):
    """The process that held the track has ended, whatever image it was that ended it. A new track can be opened."""


class LandmarkTrack(Protocol):
    """One stream of images, in which one person is followed. Used from one thread at a time."""

    @property
    def depth(self) -> int:
        """Images in flight with which a whole clip is read fastest."""

    @property
    def pending(self) -> int:
        """Images sent whose landmarks have not been received."""

    def send(self, rgb: NDArray[np.uint8]) -> None:
        """Hand over the next image, uint8 (H, W, 3), and return at once; the array may be reused afterwards.

        Raises InvalidImage for a size that is not taken, ExtractionFailed.
        """

    def receive(self) -> NDArray[np.float32]:
        """Wait for the landmarks of the oldest pending image: float32 (75, 3) as in Keypoints.

        Raises ExtractionFailed.
        """

    def close(self) -> None:
        """End the stream; pending images are lost. May be called twice."""


class LandmarkEngine(Protocol):
    """Finds landmarks for any number of streams. Thread-safe."""

    @property
    def size(self) -> int:
        """Number of streams it can serve at once without slowing them down."""

    def open(self) -> LandmarkTrack:
        """A track for one stream, never waiting for another one's end. Raises LandmarksUnavailable."""

    def warm_up(self) -> None:
        """Read the models now, so that the first stream does not wait for them. Raises LandmarksUnavailable."""

    def close(self) -> None:
        """Free the models; those of open tracks when they close. May be called twice."""


def find_landmarks(frames: Iterable[Frame], track: LandmarkTrack, on_landmarks: OnLandmarks | None = None) -> Keypoints:
    """Landmarks of a whole clip on a track that is new; only `track.depth` images are held at once.

    on_landmarks: called for every image, in order, as soon as its landmarks are known; what it returns becomes
    Keypoints.rgb_features. No frames give an empty Keypoints. Raises what the track and `frames` raise.
    """
    waiting: deque[NDArray[np.uint8]] = deque()
    rows: list[NDArray[np.float32]] = []
    rgb_features: list[NDArray[np.float32]] = []
    times: list[float] = []
    aspect = DEFAULT_ASPECT

    def take() -> None:
        rows.append(track.receive())
        if on_landmarks is not None and (features := on_landmarks(waiting.popleft(), rows[-1])) is not None:
            rgb_features.append(features)

    for frame in frames:
        if not times:
            aspect = frame.rgb.shape[1] / frame.rgb.shape[0]
        if track.pending >= track.depth:
            take()
        track.send(frame.rgb)
        times.append(frame.time_s)
        if on_landmarks is not None:
            waiting.append(frame.rgb)
    while track.pending:
        take()
    points = np.stack(rows) if rows else np.zeros((0, NUM_KEYPOINTS, 3), np.float32)
    return Keypoints(points, np.asarray(times, np.float64), aspect, np.stack(rgb_features) if rgb_features else None)
