"""Soft shaded shapes on a picture: signed distances in pixels, lit like rounded solids, with outline and shadow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]]

#: Direction to the light: from the upper left, in front (x right, y down, z to the viewer).
LIGHT = np.array([-0.42, -0.60, 0.68], np.float32)


@dataclass(frozen=True, slots=True)
class Material:
    """Colours 0..1 of a surface: in full light, turned away from it, and of its outline; gloss 0..1."""

    lit: Colour
    shade: Colour
    outline: Colour
    gloss: float = 0.0


@dataclass(frozen=True, slots=True)
class Solid:
    """A rounded shape in a window of the picture."""

    x: int
    """Left edge of the window."""
    y: int
    """Upper edge of the window."""
    distance: Float
    """(h, w) pixels to the edge of the shape, negative inside."""
    nx: Float
    """(h, w) slope of the surface along x, 0 where it faces the viewer."""
    ny: Float
    """The same along y."""


def _window(points: NDArray[np.floating], margin: float, height: int, width: int) -> tuple[int, int, int, int] | None:
    low, high = np.floor(points.min(axis=0) - margin).astype(int), np.ceil(points.max(axis=0) + margin).astype(int)
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]) + 1, width), min(int(high[1]) + 1, height)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def limb(
    joints: Float, radii: Sequence[float], size: tuple[int, int], margin: float, flat_end: bool = False
) -> Solid | None:
    """A chain of tapered capsules through joints (N, 2), one radius each; None where it is out of sight.

    size: height and width of the picture; margin: pixels of room around it for outline and shadow; flat_end: the last
    capsule is cut straight across at its end.
    """
    window = _window(joints, max(radii) + margin, *size)
    if window is None:
        return None
    x0, y0, x1, y1 = window
    px, py = np.arange(x0, x1, dtype=np.float32)[None], np.arange(y0, y1, dtype=np.float32)[:, None]
    distance = np.full((y1 - y0, x1 - x0), np.inf, np.float32)
    nx, ny = np.zeros_like(distance), np.zeros_like(distance)
    last = len(joints) - 2
    for number, (a, b) in enumerate(itertools.pairwise(joints)):
        ra, rb = radii[number], radii[number + 1]
        axis = b - a
        t = ((px - a[0]) * axis[0] + (py - a[1]) * axis[1]) / max(float(axis @ axis), 1e-6)
        t = np.clip(t, 0, 1)
        radius = ra + (rb - ra) * t
        dx, dy = px - (a[0] + t * axis[0]), py - (a[1] + t * axis[1])
        d = np.sqrt(dx * dx + dy * dy) - radius
        if flat_end and number == last:
            beyond = ((px - b[0]) * axis[0] + (py - b[1]) * axis[1]) / max(float(np.linalg.norm(axis)), 1e-6)
            d = np.maximum(d, beyond)
        nearer = d < distance
        distance = np.where(nearer, d, distance)
        nx, ny = np.where(nearer, dx / radius, nx), np.where(nearer, dy / radius, ny)
    return Solid(x0, y0, distance, nx, ny)


def rounded_hull(points: Float, rounding: float, size: tuple[int, int], margin: float) -> Solid | None:
    """The convex hull of points (N, 2), grown by `rounding` pixels and rounded off towards its edge."""
    window = _window(points, rounding + margin, *size)
    if window is None:
        return None
    x0, y0, x1, y1 = window
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    px, py = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    nearest = np.full(px.shape, np.inf, np.float32)
    inside = np.ones(px.shape, bool)
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        axis = b - a
        t = np.clip(((px - a[0]) * axis[0] + (py - a[1]) * axis[1]) / max(float(axis @ axis), 1e-6), 0, 1)
        nearest = np.minimum(nearest, np.hypot(px - a[0] - t * axis[0], py - a[1] - t * axis[1]))
        inside &= axis[0] * (py - a[1]) - axis[1] * (px - a[0]) >= 0
    distance = np.where(inside, -nearest, nearest) - np.float32(rounding)
    gy, gx = np.gradient(cv2.GaussianBlur(distance, (0, 0), max(rounding * 0.35, 0.5)))
    steep = np.clip(1 + distance / (2.2 * rounding), 0, 1)
    return Solid(x0, y0, distance.astype(np.float32), (gx * steep).astype(np.float32), (gy * steep).astype(np.float32))


def paint(
    picture: Float,
    solid: Solid | None,
    material: Material,
    *,
    outline: float = 0.0,
    shadow: float = 0.0,
    shadow_reach: float = 6.0,
    coverage: Float | None = None,
) -> None:
    """Paints a solid onto the picture (H, W, 3) in place.

    outline: width in pixels; shadow: darkness 0..1 of the soft shadow on what lies behind, `shadow_reach` pixels wide;
    coverage: (h, w) of the solid's window, multiplied with its own, to let it run out softly.
    """
    if solid is None:
        return
    height, width = solid.distance.shape
    under = picture[solid.y : solid.y + height, solid.x : solid.x + width]
    full = np.ones_like(solid.distance) if coverage is None else coverage
    if shadow > 0:
        dx, dy = int(shadow_reach * 0.2), int(shadow_reach * 0.35)
        moved = np.pad(solid.distance, ((dy, 0), (dx, 0)), mode="edge")[:height, :width]
        dark = shadow * np.exp(-np.clip(moved, 0, None) / shadow_reach * 1.6)
        under *= (1 - dark * full)[..., None]
    if outline > 0:
        edge = np.clip(0.5 - (solid.distance - outline), 0, 1) * full
        under += edge[..., None] * (np.array(material.outline, np.float32) - under)
    inside = np.clip(0.5 - solid.distance, 0, 1) * full
    under += inside[..., None] * (lit_colour(solid.nx, solid.ny, material) - under)


def lit_colour(nx: Float, ny: Float, material: Material) -> Float:
    """Colour of a surface by its slope: (h, w), (h, w) -> (h, w, 3)."""
    steep = np.clip(nx * nx + ny * ny, 0, 1)
    nz = np.sqrt(1 - steep)
    facing = nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2]
    light = np.clip(0.32 + 0.92 * facing, 0, 1)[..., None]
    shade, lit = np.array(material.shade, np.float32), np.array(material.lit, np.float32)
    colour = shade + light * (lit - shade)
    if material.gloss:
        twice = np.square(np.clip(facing, 0, 1))
        eighth = np.square(np.square(twice))
        colour = colour + (material.gloss * eighth * np.square(twice) * twice)[..., None]
    return np.clip(colour, 0, 1).astype(np.float32)


def filled(outline: Float, size: tuple[int, int]) -> Float:
    """Coverage 0..1 (height, width) of a polygon (N, 2) in pixels, its edge smoothed."""
    sheet = np.zeros(size, np.uint8)
    cv2.fillPoly(sheet, [(outline * 16).round().astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return sheet.astype(np.float32) / 255


def symmetric(half: Points) -> list[tuple[float, float]]:
    """A left-right symmetric closed outline from its right half, top to bottom."""
    return [*half, *[(-x, y) for x, y in reversed(half) if x > 1e-6]]


def smooth_outline(points: Points, closed: bool = True) -> Float:
    """A Catmull-Rom curve through points: (N, 2) -> (M, 2)."""
    p = np.array(points, np.float64)
    count = len(p)
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for i in range(count if closed else count - 1):
        a, b, c, d = (p[(i + k) % count] if closed else p[np.clip(i + k, 0, count - 1)] for k in (-1, 0, 1, 2))
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    if not closed:
        pieces.append(p[-1:])
    return np.concatenate(pieces).astype(np.float32)
