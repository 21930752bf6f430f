"""How a stored image has to be stretched, turned and flipped to stand upright with square pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from numpy.typing import NDArray

#: Pixel shapes outside 1/4..4 are damage, not a format.
_SANE_PIXELS = (Fraction(1, 4), Fraction(4))


@dataclass(frozen=True, slots=True)
class Layout:
    """Size, turn and flip of a stored image."""

    width: int
    """Of the stored image in square pixels, before turning."""
    height: int
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    """(a, b, c, d), each -1, 0 or 1: a stored point (x, y) is shown at (ax + cy, bx + dy), with x to the right and y
    down: the upper left part of the matrix of ISO 14496-12 `tkhd`."""

    @classmethod
    def of(cls, image: VideoFrame, pixel_aspect: Fraction | None) -> Layout:
        """From a decoded image and the stream's sample aspect ratio (width of a pixel by its height)."""
        width = image.width
        if pixel_aspect and _SANE_PIXELS[0] <= pixel_aspect <= _SANE_PIXELS[1]:
            width = max(1, round(width * pixel_aspect))
        return cls(width, image.height, _matrix(image))

    @property
    def transposed(self) -> bool:
        return self.matrix[0] == 0

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) as shown."""
        return (self.width, self.height) if self.transposed else (self.height, self.width)

    def upright(self, image: VideoFrame) -> NDArray[np.uint8]:
        """RGB uint8 of `shape`. An image of another size than the layout was made for is scaled to fit."""
        rgb = np.asarray(image.to_ndarray(format="rgb24", width=self.width, height=self.height), dtype=np.uint8)
        a, b, c, d = self.matrix
        if self.transposed:
            return np.ascontiguousarray(rgb.transpose(1, 0, 2)[::b, ::c])
        return np.ascontiguousarray(rgb[::d, ::a])


def _matrix(image: VideoFrame) -> tuple[int, int, int, int]:
    """The display matrix reduced to quarter turns and flips; any other rotation is ignored (no camera writes one)."""
    # PyAV's type stubs describe this mapping as a dictionary of motion vectors alone.
    side_data = cast(Mapping[SideDataType, Any], image.side_data).get(SideDataType.DISPLAYMATRIX)
    if side_data is None:
        return (1, 0, 0, 1)
    numbers = np.frombuffer(side_data, dtype=np.int32).astype(np.float64)  # 3x3, row by row, 16.16 fixed point
    turn = numbers[[0, 1, 3, 4]]
    a, b, c, d = (turn / max(np.abs(turn).max(), 1.0)).round().astype(int).tolist()
    quarter_turn = abs(a * d - b * c) == 1 and abs(a) + abs(b) == 1 and abs(c) + abs(d) == 1
    return (a, b, c, d) if quarter_turn else (1, 0, 0, 1)
