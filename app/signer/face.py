"""The signer's head as a picture of its own with transparency: hair, ears, face, eyes, brows, nose and a mild smile.

Drawn once per size in the units of the prototypes (shoulder widths, origin at the shoulder midpoint, y down), at four
times the resolution, then area-averaged.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from app.signer.shapes import Colour, Material, Points, filled, lit_colour, smooth_outline, symmetric

Float = NDArray[np.float32]

#: Window of the sprite in shoulder widths: left, top, right, bottom.
WINDOW = (-0.42, -1.20, 0.42, -0.16)
SKIN = Material((0.955, 0.765, 0.635), (0.70, 0.45, 0.345), (0.40, 0.21, 0.155), 0.05)
HAIR = Material((0.33, 0.215, 0.16), (0.13, 0.08, 0.065), (0.10, 0.06, 0.05), 0.10)
_OVERSAMPLING = 4


class _Easel:
    """A transparent sheet in shoulder-width coordinates."""

    def __init__(self, pixels_per_unit: float) -> None:
        self.unit = pixels_per_unit * _OVERSAMPLING
        left, top, right, bottom = WINDOW
        self.width, self.height = round((right - left) * self.unit), round((bottom - top) * self.unit)
        self.colour = np.zeros((self.height, self.width, 3), np.float32)
        self.alpha = np.zeros((self.height, self.width), np.float32)
        self.y, self.x = np.mgrid[: self.height, : self.width].astype(np.float32)
        self.x, self.y = self.x / self.unit + left, self.y / self.unit + top

    def mask(self, outline: Float) -> Float:
        return filled((outline - np.array(WINDOW[:2])) * self.unit, (self.height, self.width))

    def line(self, points: Points, thickness: float) -> Float:
        """A brush stroke along a curve, thickest in the middle."""
        path = smooth_outline(points, closed=False)
        along = np.gradient(path, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        t = np.linspace(0, 1, len(path))
        half = thickness / 2 * np.clip(np.sin(np.pi * t), 0.12, 1) ** 0.7
        return self.mask(np.concatenate([path + normal * half[:, None], (path - normal * half[:, None])[::-1]]))

    def soft(self, mask: Float, blur: float) -> Float:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(blur * self.unit, 0.3)), np.float32)

    def glow(self, x: float, y: float, rx: float, ry: float) -> Float:
        return np.exp(-(((self.x - x) / rx) ** 2) - ((self.y - y) / ry) ** 2).astype(np.float32)

    def lay(self, mask: Float, colour: Colour | Float, opaque: bool = False) -> None:
        """Covers what is there; `opaque` also makes the sheet solid there."""
        self.colour += mask[..., None] * (np.asarray(colour, np.float32) - self.colour)
        if opaque:
            self.alpha = np.maximum(self.alpha, mask)

    def solid(self, mask: Float, material: Material, rounding: float) -> None:
        """A mask as a rounded solid with an outline."""
        edge = self.soft(np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.float32), 0.002)
        self.lay(np.clip(edge * 1.6, 0, 1), material.outline, opaque=True)
        inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / (rounding * self.unit)
        depth = self.soft(np.clip(inside, 0, 1), rounding * 0.18)
        gy, gx = np.gradient(depth * rounding * self.unit)
        steep = np.clip(1 - depth, 0, 1) ** 0.8
        self.lay(mask, lit_colour(-gx * steep, -gy * steep, material), opaque=True)


_FACE = symmetric(
    [
        (0, -1.00), (0.12, -0.97), (0.195, -0.86), (0.220, -0.72), (0.219, -0.58), (0.203, -0.46),
        (0.160, -0.358), (0.088, -0.292), (0, -0.276),
    ]
)  # fmt: skip
_HAIR_BACK = symmetric(
    [
        (0, -1.115), (0.14, -1.09), (0.240, -1.00), (0.278, -0.86), (0.272, -0.70), (0.250, -0.600),
        (0.15, -0.60), (0, -0.62),
    ]
)  # fmt: skip
_FRINGE = [
    (-0.222, -0.655), (-0.258, -0.78), (-0.236, -0.95), (-0.13, -1.075), (0.02, -1.108), (0.16, -1.07),
    (0.252, -0.95), (0.262, -0.79), (0.226, -0.655), (0.214, -0.76), (0.175, -0.850),
    (0.06, -0.918), (-0.045, -0.912), (-0.13, -0.862), (-0.192, -0.775),
]  # fmt: skip


def _ear(easel: _Easel, side: int) -> None:
    outline = [(0.195, -0.655), (0.232, -0.672), (0.258, -0.635), (0.248, -0.56), (0.224, -0.515), (0.20, -0.535)]
    mask = easel.mask(smooth_outline([(side * x, y) for x, y in outline]))
    easel.solid(mask, SKIN, 0.03)
    inner = easel.line([(side * 0.222, -0.645), (side * 0.241, -0.62), (side * 0.231, -0.565)], 0.016)
    easel.lay(easel.soft(inner, 0.004) * 0.55, SKIN.shade)


def _eye(easel: _Easel, side: int) -> None:
    x = 0.102 * side
    almond = [(x - 0.047, -0.640), (x - 0.022, -0.664), (x + 0.012, -0.667), (x + 0.047, -0.645), (x + 0.02, -0.626)]
    almond = [*almond, (x - 0.018, -0.625)] if side > 0 else [(2 * x - a, b) for a, b in [*almond, (x - 0.018, -0.625)]]
    white = easel.mask(smooth_outline(almond))
    easel.lay(easel.soft(easel.glow(x, -0.655, 0.062, 0.034) * 0.28, 0.004), SKIN.shade)
    easel.lay(white, (0.985, 0.975, 0.965))
    iris = np.clip((0.0245 - np.hypot(easel.x - x, easel.y + 0.647)) * easel.unit + 0.5, 0, 1) * white
    ring = np.clip(np.hypot(easel.x - x, easel.y + 0.643) / 0.0245, 0, 1)[..., None]
    easel.lay(iris, (0.40, 0.25, 0.14) * (1 - ring**3) + np.array((0.16, 0.09, 0.06)) * ring**3)
    easel.lay(np.clip((0.011 - np.hypot(easel.x - x, easel.y + 0.647)) * easel.unit + 0.5, 0, 1), (0.05, 0.03, 0.03))
    spark = np.clip((0.0062 - np.hypot(easel.x - x + 0.008, easel.y + 0.655)) * easel.unit + 0.5, 0, 1)
    easel.lay(spark, (1, 1, 1))
    easel.lay(white * np.clip(1 - (easel.y + 0.668) / 0.016, 0, 1) * 0.35, (0.30, 0.18, 0.15))
    lid = [(x + side * a, b) for a, b in ((-0.051, -0.637), (-0.024, -0.665), (0.012, -0.670), (0.055, -0.645))]
    easel.lay(easel.line(lid, 0.013), (0.16, 0.09, 0.08))
    fold = [(a + 0.004 * side, b - 0.019) for a, b in lid]
    easel.lay(easel.soft(easel.line(fold, 0.006), 0.002) * 0.6, SKIN.shade)
    under = [(x - 0.035 * side, -0.625), (x, -0.618), (x + 0.038 * side, -0.629)]
    easel.lay(easel.soft(easel.line(under, 0.006), 0.002) * 0.45, SKIN.shade)
    brow = [(x + side * a, b) for a, b in ((-0.055, -0.716), (-0.015, -0.738), (0.030, -0.737), (0.064, -0.712))]
    easel.lay(easel.soft(easel.line(brow, 0.021), 0.002) * 0.92, (0.22, 0.14, 0.11))


def _nose(easel: _Easel) -> None:
    side = easel.line([(0.020, -0.655), (0.022, -0.60), (0.034, -0.545)], 0.022)
    easel.lay(easel.soft(side, 0.010) * 0.42, SKIN.shade)
    easel.lay(easel.glow(-0.006, -0.60, 0.013, 0.06) * 0.30, (1.0, 0.88, 0.78))
    easel.lay(easel.glow(-0.008, -0.545, 0.020, 0.018) * 0.45, (1.0, 0.90, 0.82))
    base = easel.line([(-0.040, -0.530), (-0.026, -0.512), (0, -0.503), (0.026, -0.512), (0.040, -0.530)], 0.010)
    easel.lay(easel.soft(base, 0.003) * 0.65, (0.52, 0.28, 0.21))
    for x in (-0.018, 0.018):
        easel.lay(easel.glow(x, -0.514, 0.010, 0.0055) * 0.75, (0.36, 0.17, 0.13))
    easel.lay(easel.soft(easel.glow(0.004, -0.488, 0.035, 0.014) * 0.30, 0.004), SKIN.shade)


def _mouth(easel: _Easel) -> None:
    upper = [(-0.080, -0.430), (-0.035, -0.4405), (-0.012, -0.446), (0, -0.4425), (0.012, -0.446), (0.035, -0.4405)]
    upper = [*upper, (0.080, -0.430), (0.04, -0.418), (0, -0.413), (-0.04, -0.418)]
    lower = [(-0.074, -0.427), (-0.04, -0.418), (0, -0.413), (0.04, -0.418), (0.074, -0.427), (0.045, -0.396)]
    lower = [*lower, (0, -0.384), (-0.045, -0.396)]
    easel.lay(easel.soft(easel.glow(0, -0.366, 0.05, 0.012) * 0.32, 0.003), SKIN.shade)
    easel.lay(easel.soft(easel.mask(smooth_outline(lower)), 0.003) * 0.85, (0.80, 0.44, 0.40))
    easel.lay(easel.soft(easel.mask(smooth_outline(upper)), 0.003) * 0.85, (0.70, 0.36, 0.33))
    easel.lay(easel.glow(-0.01, -0.400, 0.03, 0.006) * 0.35, (1.0, 0.80, 0.76))
    smile = [(-0.088, -0.436), (-0.05, -0.421), (0, -0.4135), (0.05, -0.421), (0.088, -0.436)]
    easel.lay(easel.line(smile, 0.008), (0.42, 0.16, 0.15))
    for side in (-1, 1):
        easel.lay(easel.glow(side * 0.092, -0.437, 0.011, 0.013) * 0.40, SKIN.shade)


@functools.lru_cache(maxsize=8)
def head(pixels_per_unit: float) -> tuple[Float, Float]:
    """The head for a figure with so many pixels per shoulder width: colours (h, w, 3) and opacity (h, w), 0..1."""
    easel = _Easel(pixels_per_unit)
    easel.solid(easel.mask(smooth_outline(_HAIR_BACK)), HAIR, 0.12)
    for side in (-1, 1):
        _ear(easel, side)
    face = easel.mask(smooth_outline(_FACE))
    easel.solid(face, SKIN, 0.20)
    easel.lay(face * easel.glow(-0.03, -0.80, 0.16, 0.10) * 0.22, (1.0, 0.90, 0.80))
    for x, strength in ((-0.125, 0.30), (0.125, 0.36)):
        easel.lay(face * easel.glow(x, -0.525, 0.062, 0.048) * strength, (0.93, 0.53, 0.45))
    easel.lay(face * easel.glow(-0.115, -0.575, 0.045, 0.03) * 0.25, (1.0, 0.90, 0.82))
    easel.lay(face * easel.glow(0, -0.335, 0.045, 0.03) * 0.16, (1.0, 0.90, 0.82))
    fringe = easel.mask(smooth_outline(_FRINGE))
    easel.lay(face * easel.soft(np.roll(fringe, round(0.02 * easel.unit), axis=0), 0.018) * 0.35, SKIN.shade)
    for side in (-1, 1):
        _eye(easel, side)
    _nose(easel)
    _mouth(easel)
    easel.solid(fringe, HAIR, 0.10)
    for number in range(9):
        start = -0.16 + 0.045 * number
        strand = [
            (start * 0.55 + 0.02, -1.07),
            (start * 1.05 + 0.02, -1.00),
            (start * 1.25 + 0.01, -0.90 + abs(start) * 0.35),
        ]
        easel.lay(easel.soft(easel.line(strand, 0.007), 0.002) * fringe * 0.28, (0.52, 0.36, 0.27))
    target = (easel.width // _OVERSAMPLING, easel.height // _OVERSAMPLING)
    alpha = np.asarray(cv2.resize(easel.alpha, target, interpolation=cv2.INTER_AREA), np.float32)
    weighted = easel.colour * easel.alpha[..., None]
    colour = np.asarray(cv2.resize(weighted, target, interpolation=cv2.INTER_AREA), np.float32)
    return colour / np.maximum(alpha, 1e-4)[..., None], alpha
