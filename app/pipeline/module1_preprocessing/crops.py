"""Square crops that follow the signer: the body, and if wanted each hand, cut out by the landmarks.

As with `normalise`, only the present and the past count, so a live stream gets the crops a file gets.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, hand_present, person_present
from app.pipeline.module1_preprocessing.normalise import BodyFrame

#: Side of the body's crop in shoulder widths: signing hands stay within 1.7 of the middle of the shoulders.
BODY_SIDE = 3.4
#: How far its centre lies below the shoulders, in shoulder widths: hands go further down than the head goes up.
BODY_DROP = 0.15
#: Side of a hand's crop in shoulder widths: an open hand is 0.6 long.
HAND_SIDE = 1.0
#: How much of a hand's centre comes from the frame before: landmarks tremble, and a hand crop trembles with them.
HAND_INERTIA = 0.4


def num_views(hands: bool) -> int:
    """Crops of a frame: the body, and both hands if wanted."""
    return 3 if hands else 1


def to_channels_first(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(T, views, S, S, 3) -> (T, 3 * views, S, S): as the RGB stream takes them."""
    count, views, size = crops.shape[:3]
    return np.ascontiguousarray(crops.transpose(0, 1, 4, 2, 3)).reshape(count, views * 3, size, size)


class Cropper:
    """Cuts one frame after the other of a clip or stream. size: side of the crops in pixels."""

    def __init__(self, size: int, hands: bool = False) -> None:
        self.size, self.hands = size, hands
        self._frame: BodyFrame | None = None
        self._seen = False
        self._centres: dict[int, NDArray[np.float64]] = {}

    def push(self, rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """An image uint8 (H, W, 3) and its landmarks (75, 3) -> uint8 (views, size, size, 3).

        First the body, then the left hand, mirrored so that it looks like a right one, and the right hand; a hand that
        is not there is black. What lies outside the image repeats its edge. Before anybody was seen the body's crop
        is the middle of the image.
        """
        height, width = rgb.shape[:2]
        if self._frame is None:
            self._frame = BodyFrame(width / height)
        there = person_present(points[None])
        self._seen |= bool(there[0])
        origin, unit = (row[0].astype(np.float64) for row in self._frame.push(points[None], there))
        shoulder = float(unit[0]) * height
        if self._seen:
            centre = origin * height + [0.0, BODY_DROP * shoulder]
            out = [cut(rgb, centre, BODY_SIDE * shoulder, self.size)]
        else:
            out = [cut(rgb, np.array([width / 2, height / 2]), float(min(width, height)), self.size)]
        if self.hands:
            present = hand_present(points[None])[0] & there[0]
            for side, where in enumerate((LEFT_HAND, RIGHT_HAND)):
                out.append(self._hand(rgb, points[where, :2], side, HAND_SIDE * shoulder, bool(present[side])))
        return np.stack(out)

    def _hand(
        self, rgb: NDArray[np.uint8], xy: NDArray[np.float32], side: int, width: float, present: bool
    ) -> NDArray[np.uint8]:
        if not present:
            self._centres.pop(side, None)
            return np.zeros((self.size, self.size, 3), np.uint8)
        now = (xy.min(axis=0) + xy.max(axis=0)).astype(np.float64) / 2 * [rgb.shape[1], rgb.shape[0]]
        before = self._centres.get(side, now)
        self._centres[side] = centre = HAND_INERTIA * before + (1 - HAND_INERTIA) * now
        crop = cut(rgb, centre, width, self.size)
        return crop[:, ::-1] if side == 0 else crop


def cut(rgb: NDArray[np.uint8], centre: NDArray[np.float64], side: float, size: int) -> NDArray[np.uint8]:
    """The square of `side` pixels around `centre` (x, y) as uint8 (size, size, 3); its edge repeated outside.

    A square that does not touch the image is moved until it does. Only what is inside is scaled, so a signer who
    fills the image costs no more than a small one.
    """
    height, width = rgb.shape[:2]
    side = max(side, 2.0)
    x, y = np.clip(centre, [-side / 2 + 1, -side / 2 + 1], [width + side / 2 - 1, height + side / 2 - 1])
    scale = size / side
    left, top = x - side / 2, y - side / 2
    x0, x1 = _inside(left, left + side, width)
    y0, y1 = _inside(top, top + side, height)
    small_x0, small_x1 = _placed(x0, x1, left, scale, size)
    small_y0, small_y1 = _placed(y0, y1, top, scale, size)
    small = cv2.resize(rgb[y0:y1, x0:x1], (small_x1 - small_x0, small_y1 - small_y0), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(
        small, small_y0, size - small_y1, small_x0, size - small_x1, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(padded, np.uint8)


def _inside(low: float, high: float, limit: int) -> tuple[int, int]:
    """The whole pixels of low..high that exist, at least one."""
    first = int(np.clip(round(low), 0, limit - 1))
    return first, int(np.clip(round(high), first + 1, limit))


def _placed(first: int, last: int, origin: float, scale: float, size: int) -> tuple[int, int]:
    """Where the pixels first..last land in the crop, at least one pixel of it."""
    start = int(np.clip(round((first - origin) * scale), 0, size - 1))
    return start, int(np.clip(round((last - origin) * scale), start + 1, size))
