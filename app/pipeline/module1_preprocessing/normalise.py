"""Landmarks in image coordinates -> the numbers the network reads, the same for training, files and live streams.

Everything here looks at the present and the past only, so a live stream gets, frame by frame, exactly what the
offline path gets for the whole clip.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.pipeline import keypoints as kp

#: Shoulder position and width are the running median of this many frames (2 s at 25 fps), the present one included.
HISTORY = 50
CLIP = 5.0

_BODY_POINTS = [
    kp.NOSE, kp.LEFT_EAR, kp.RIGHT_EAR, kp.LEFT_SHOULDER, kp.RIGHT_SHOULDER,
    kp.LEFT_ELBOW, kp.RIGHT_ELBOW, kp.LEFT_WRIST, kp.RIGHT_WRIST,
]  # fmt: skip
_TIPS = [4, 8, 12, 16, 20]
_KNUCKLES = [5, 9, 13, 17]

BODY_STATIC = 2 * len(_BODY_POINTS) + 2 + 2  # points, mouth, wrist to wrist
HAND_STATIC = 2 + 40 + 1 + 10 + 7 + 5 + 3
BODY_DIM = 1 + 2 * BODY_STATIC
HAND_DIM = 1 + 2 * HAND_STATIC
BODY_FEATURES = slice(0, BODY_DIM)
LEFT_FEATURES = slice(BODY_DIM, BODY_DIM + HAND_DIM)
RIGHT_FEATURES = slice(BODY_DIM + HAND_DIM, BODY_DIM + 2 * HAND_DIM)
NUM_FEATURES = BODY_DIM + 2 * HAND_DIM


class _RunningMedian:
    """Median of the last HISTORY rows pushed, column by column."""

    def __init__(self, columns: int) -> None:
        self.recent: deque[list[float]] = deque()
        self.sorted: list[list[float]] = [[] for _ in range(columns)]
        self.value = [0.0] * columns

    def push(self, row: list[float]) -> None:
        oldest = self.recent.popleft() if len(self.recent) == HISTORY else None
        self.recent.append(row)
        for column, (window, value) in enumerate(zip(self.sorted, row, strict=True)):
            if oldest is not None:
                del window[bisect_left(window, oldest[column])]
            insort(window, value)
            middle = len(window) // 2
            self.value[column] = window[middle] if len(window) % 2 else (window[middle - 1] + window[middle]) / 2


def _difference(
    values: NDArray[np.float32], there: NDArray[np.bool_], before: NDArray[np.float32], there_before: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Twice the difference to the frame before, 0 where the part is missing now or was then."""
    return np.where((there & there_before)[:, None], 2 * (values - before), 0)


def _hand(xy: NDArray[np.float32], nose: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one right-handed hand looks like: (T, 21, 2) in body units -> (T, HAND_STATIC), within -CLIP..CLIP.

    Wrist; the other 20 points relative to the wrist in units of the hand; the hand's size; finger tips
    relative to the nose; gaps between finger tips; how far each finger is stretched; pointing direction and palm side.
    """
    wrist = xy[:, :1]
    relative = xy - wrist
    knuckles = relative[:, _KNUCKLES]
    # The longest of the palm's own edges: unlike one single bone it does not vanish when the hand points at the camera.
    edges = np.concatenate([knuckles, knuckles[:, :1] - knuckles[:, 3:], knuckles[:, :1] - knuckles[:, 2:3]], axis=1)
    size = np.maximum(np.linalg.norm(edges, axis=-1).max(axis=1), 1e-3)[:, None]
    shape = relative[:, 1:] / size[:, :, None]
    tips = shape[:, [t - 1 for t in _TIPS]]
    gaps = np.linalg.norm(np.concatenate([tips[:, :1] - tips[:, 1:], tips[:, 1:-1] - tips[:, 2:]], axis=1), axis=-1)
    stretch = np.linalg.norm(tips, axis=-1)
    pointing = shape[:, 8] / np.maximum(np.linalg.norm(shape[:, 8], axis=-1, keepdims=True), 1e-3)
    index, little = shape[:, 4], shape[:, 16]
    palm = index[:, :1] * little[:, 1:] - index[:, 1:] * little[:, :1]
    frames = len(xy)
    static = np.concatenate(
        [
            wrist[:, 0],
            shape.reshape(frames, -1),
            size * 2,
            (xy[:, _TIPS] - nose[:, None]).reshape(frames, -1),
            gaps,
            stretch,
            pointing,
            palm,
        ],
        axis=1,
    )
    return np.clip(static, -CLIP, CLIP)


class BodyFrame:
    """Where the signer is and how large: running medians over the last two seconds in which a body was seen."""

    def __init__(self, aspect: float) -> None:
        self._scale = np.array([aspect, 1], np.float32)
        self._median = _RunningMedian(3)

    def push(
        self, points: NDArray[np.float32], there: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, 75, 3) and where a body was seen (n,) -> shoulder midpoint (n, 2) and shoulder width (n, 1).

        Both frame by frame, in image heights. The width is at least 0.02; before the first body the midpoint is 0.
        """
        return self.push_seen(_shoulders(points, self._scale), there)

    def push_seen(
        self, seen: NDArray[np.float32], there: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same, given what is seen in each frame: midpoint and width side by side (n, 3)."""
        steady = np.empty((len(seen), 3), np.float32)
        for t, row in enumerate(seen.tolist()):
            if there[t]:
                self._median.push(row)
            steady[t] = self._median.value
        return steady[:, :2], np.maximum(steady[:, 2:], 0.02)


def _shoulders(points: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 75, 3) and image width / height and 1, (2,) or one for each frame (n, 1, 2) -> midpoint and width (n, 3)."""
    shoulders = points[:, [kp.LEFT_SHOULDER, kp.RIGHT_SHOULDER], :2] * scale
    width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1, keepdims=True)
    return np.concatenate([shoulders.mean(axis=1), width], axis=1)


#: Values of a group of landmarks (n, D), and in which frames it was seen (n,).
_Group = tuple[NDArray[np.float32], NDArray[np.bool_]]


class Normaliser:
    """Turns landmarks on the model's frame grid into network input, any number of frames at a time.

    aspect: image width / height. The result does not depend on how the frames are cut into pushes.
    Origin is the shoulder midpoint and unit the shoulder width, both the running median over the last two seconds in
    which a body was seen: steady against landmark noise, and computable live. The unit is at least 0.02 image heights.
    """

    def __init__(self, aspect: float) -> None:
        self._scale = np.array([aspect, 1], np.float32)
        self._frame = BodyFrame(aspect)
        self._before: list[_Group] | None = None  # the last frame

    def push(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, 75, 3) as in `Keypoints` -> float32 (n, NUM_FEATURES), values in -20..20.

        Body group, left hand (mirrored, so that both hands look like a right hand to the encoder they share), right
        hand. Each group is a presence flag, its values and twice their first difference; a missing part is flag 0 with
        zeros, the flag being what the encoder masks by.
        """
        (rows,) = push_together([(self, points)])
        return rows


def push_together(
    pushes: Sequence[tuple[Normaliser, NDArray[np.float32]]],
) -> list[NDArray[np.float32]]:
    """`Normaliser.push` of several, each given once, for little more than the price of one."""
    counts = [len(points) for _, points in pushes]
    ends = np.cumsum(counts)
    points = np.concatenate([points for _, points in pushes])
    if not len(points):
        return [np.zeros((0, NUM_FEATURES), np.float32) for _ in pushes]
    parts = [slice(end - count, end) for count, end in zip(counts, ends.tolist(), strict=True)]
    body_there = kp.person_present(points)
    hands_there = kp.hand_present(points) & body_there[:, None]
    scale = np.repeat([own._scale for own, _ in pushes], counts, axis=0)[:, None]
    seen = _shoulders(points, scale)
    steady = [own._frame.push_seen(seen[part], body_there[part]) for (own, _), part in zip(pushes, parts, strict=True)]
    origin, unit = (np.concatenate(values) for values in zip(*steady, strict=True))
    xy = (points[..., :2] * scale - origin[:, None]) / unit[:, None]
    groups = _groups(xy, body_there, hands_there)

    before = [
        (np.concatenate([values[:1], values[:-1]]), np.concatenate([there[:1], there[:-1]])) for values, there in groups
    ]
    for (own, _), part in zip(pushes, parts, strict=True):
        if part.stop == part.start:
            continue
        first = own._before or [(values[part.start], there[part.start]) for values, there in groups]
        for (earlier, there_before), (values, there) in zip(before, first, strict=True):
            earlier[part.start], there_before[part.start] = values, there
        own._before = [(values[part.stop - 1], there[part.stop - 1]) for values, there in groups]
    columns = []
    for (values, there), of_before in zip(groups, before, strict=True):
        columns += [there[:, None], values, _difference(values, there, *of_before)]
    rows = np.concatenate(columns, axis=1, dtype=np.float32)
    return [rows[part] for part in parts]


def _groups(xy: NDArray[np.float32], body_there: NDArray[np.bool_], hands_there: NDArray[np.bool_]) -> list[_Group]:
    """Points in body units (n, 75, 2), where there is a body (n,) and each hand (n, 2) -> body, left and right hand."""
    frames = len(xy)
    mouth = (xy[:, kp.MOUTH_LEFT] + xy[:, kp.MOUTH_RIGHT]) / 2
    body = np.concatenate(
        [xy[:, _BODY_POINTS].reshape(frames, -1), mouth, xy[:, kp.LEFT_WRIST] - xy[:, kp.RIGHT_WRIST]], axis=1
    )
    flip = np.array([-1, 1], np.float32)
    nose = xy[:, kp.NOSE]
    hands = _hand(
        np.concatenate([xy[:, kp.LEFT_HAND] * flip, xy[:, kp.RIGHT_HAND]]), np.concatenate([nose * flip, nose])
    )
    groups = [
        (np.clip(body, -CLIP, CLIP), body_there),
        (hands[:frames], hands_there[:, 0]),
        (hands[frames:], hands_there[:, 1]),
    ]
    return [(np.where(there[:, None], values, 0), there) for values, there in groups]


def normalise(points: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """A whole clip through a fresh `Normaliser`: float32 (T, 75, 3) -> (T, NUM_FEATURES)."""
    return Normaliser(aspect).push(points)
