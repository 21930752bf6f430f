"""Draws one frame of the prototype signer: landmarks in, picture out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    NUM_HAND,
    RIGHT_ELBOW,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)
from app.signer.face import SKIN, WINDOW, head
from app.signer.shapes import Colour, Material, Solid, filled, limb, paint, rounded_hull, smooth_outline, symmetric

Float = NDArray[np.float32]
Size = tuple[int, int]
Shoulders = tuple[tuple[float, float], ...]

WIDTH, HEIGHT = 640, 480
#: Least distance of the shoulders in pixels for a person to be drawn.
SMALLEST = 24
SHIRT = Material((0.20, 0.43, 0.49), (0.055, 0.16, 0.205), (0.03, 0.10, 0.13))
TRIM = Material((0.27, 0.53, 0.585), (0.08, 0.215, 0.26), SHIRT.outline)
PALM = Material((0.975, 0.785, 0.675), (0.76, 0.50, 0.41), (0.40, 0.21, 0.155))
BACKDROP: tuple[Colour, Colour] = ((0.925, 0.935, 0.915), (0.735, 0.79, 0.80))
NAIL = (0.99, 0.87, 0.80)
#: Place of the nose tip in the head's sprite.
_SPRITE_NOSE = np.array([0.0, -0.54])
_ARMS = ((LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST), (RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST))
_FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
#: Radius of each finger's joints as a share of the palm's length (wrist to middle knuckle).
_RADII = ((0.150, 0.125, 0.105, 0.086), *[(0.105, 0.098, 0.088, 0.076)] * 3, (0.092, 0.085, 0.077, 0.066))


#: Right halves of symmetric outlines, shoulder widths from the shoulder midpoint.
_TORSO = [
    (0.0, -0.115), (0.13, -0.150), (0.20, -0.158), (0.33, -0.118), (0.47, -0.088), (0.565, -0.045), (0.615, 0.06),
    (0.612, 0.22), (0.550, 0.42), (0.510, 0.75), (0.49, 1.2), (0.48, 1.7),
]  # fmt: skip
_NECK = [(0.0, -0.42), (0.125, -0.42), (0.128, -0.30), (0.140, -0.20), (0.19, -0.12), (0.13, 0.03), (0.0, 0.10)]
_OPENING = [(0.0, 0.105), (0.07, 0.075), (0.135, -0.015), (0.19, -0.158), (0.12, -0.30), (0.0, -0.30)]
_COLLAR = [
    (0.0, 0.085), (0.06, 0.058), (0.12, -0.02), (0.175, -0.150), (0.205, -0.160), (0.155, -0.012), (0.08, 0.098),
    (0.0, 0.128),
]  # fmt: skip


def palm_facing(hand: NDArray[np.floating], right: bool) -> float:
    """How much the palm (1) or the back (-1) of a hand (21, 2) in equal units, y down, faces the viewer."""
    across, along = hand[17] - hand[5], (hand[5] + hand[17]) / 2 - hand[0]
    size = float(np.linalg.norm(across) * np.linalg.norm(along))
    turn = float(across[0] * along[1] - across[1] * along[0]) / max(size, 1e-9)
    return turn if right else -turn


def draw(
    points: NDArray[np.floating], *, palm: float, facing: tuple[float, float], scale: float = 1.0
) -> NDArray[np.uint8]:
    """One frame as RGB uint8 (480 * scale, 640 * scale, 3).

    points: (75, 3) landmarks relative to a 4:3 picture; a hand without presence is not drawn, nor is a person whose
    shoulders are less than SMALLEST pixels apart (one that was not found has none). palm: length of the palm
    in shoulder widths, the same for the whole clip, so that a hand that points at the viewer keeps its thickness.
    facing: palm_facing of the left and right hand, -1..1 (smoothed over time by the caller).
    """
    size = (round(HEIGHT * scale), round(WIDTH * scale))
    at = (points[:, :2] * [size[1], size[0]]).astype(np.float32)
    unit = round(float(np.linalg.norm(at[LEFT_SHOULDER] - at[RIGHT_SHOULDER])), 1)
    if unit < SMALLEST * scale:
        return (np.clip(_backdrop(size), 0, 1) * 255 + 0.5).astype(np.uint8)
    shoulders = tuple((round(float(x), 1), round(float(y), 1)) for x, y in at[[LEFT_SHOULDER, RIGHT_SHOULDER]])
    sleeves = [_upper_sleeve(at[shoulder], at[elbow], unit, size) for shoulder, elbow, _ in _ARMS]
    picture = _still_life(size, shoulders).copy()
    _grow_sleeves(picture, sleeves, shoulders, unit)
    _place_head(picture, at[NOSE], unit)
    for side, (shoulder, elbow, wrist) in enumerate(_ARMS):
        start = LEFT_HAND.start + side * NUM_HAND
        _arm(picture, sleeves[side], at[shoulder], at[elbow], at[wrist], unit, palm * unit)
        if points[start, 2] > 0:
            _hand(picture, at[start : start + NUM_HAND], palm * unit, facing[side])
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def _backdrop(size: Size) -> Float:
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    far = np.clip(np.hypot((x / width - 0.42) / 0.75, (y / height - 0.36) / 0.85), 0, 1)[..., None]
    return (np.array(BACKDROP[0]) * (1 - far**1.5) + np.array(BACKDROP[1]) * far**1.5).astype(np.float32)


def _placed(outline: Sequence[tuple[float, float]], shoulders: Shoulders) -> tuple[Float, Float, float]:
    """A symmetric outline from its right half, in pixels; the shoulders' middle and distance."""
    ends = np.array(shoulders, np.float32)
    unit, middle = float(np.linalg.norm(ends[0] - ends[1])), ends.mean(axis=0)
    return (smooth_outline(symmetric(outline)) * unit + middle).astype(np.float32), middle, unit


@functools.lru_cache(maxsize=8)
def _torso(size: Size, shoulders: Shoulders) -> Solid:
    outline, _, unit = _placed(_TORSO, shoulders)
    return Solid(0, 0, *_relief(outline, size, unit * 0.22))


@functools.lru_cache(maxsize=8)
def _neck_and_collar(size: Size, shoulders: Shoulders) -> tuple[Float, Float]:
    """What lies on the torso and never moves, as factor and summand for the picture below (each painting is affine)."""
    painted = []
    for level in (0.0, 1.0):
        picture = np.full((*size, 3), level, np.float32)
        outline, middle, unit = _placed(_NECK, shoulders)
        _folds(picture, middle, unit)
        y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
        above = (y < middle[1] - 0.135 * unit).astype(np.float32)
        inside = np.maximum(filled(_placed(_OPENING, shoulders)[0], size), above)
        neck = Solid(0, 0, *_relief(outline, size, unit * 0.15))
        paint(picture, neck, SKIN, outline=unit * 0.006, coverage=inside)
        chin = np.exp(-(((x - middle[0]) / (0.17 * unit)) ** 2) - ((y - middle[1] + 0.25 * unit) / (0.085 * unit)) ** 2)
        skin = np.clip(0.5 - neck.distance, 0, 1) * inside
        picture *= (1 - 0.40 * chin * skin)[..., None]
        for side in (-1, 1):
            bone = [(side * 0.035, 0.028), (side * 0.08, -0.002), (side * 0.13, -0.022)]
            stroke = _stroke(smooth_outline(bone, closed=False) * unit + middle, unit * 0.014, size)
            line = (cv2.GaussianBlur(stroke, (0, 0), unit * 0.008) * skin * 0.45)[..., None]
            picture += line * (np.array(SKIN.shade, np.float32) - picture)
        collar = Solid(0, 0, *_relief(_placed(_COLLAR, shoulders)[0], size, unit * 0.02))
        paint(picture, collar, TRIM, outline=unit * 0.005, shadow=0.25, shadow_reach=unit * 0.03)
        painted.append(picture)
    return painted[1] - painted[0], painted[0]


@functools.lru_cache(maxsize=8)
def _still_life(size: Size, shoulders: Shoulders) -> Float:
    """Everything that does not move: background, torso, neck and collar."""
    picture = _backdrop(size).copy()
    _dress(picture, _torso(size, shoulders), size, shoulders)
    return picture


def _dress(picture: Float, body: Solid, size: Size, shoulders: Shoulders) -> None:
    """Paints the shirt in the solid's window, and over it what lies on it."""
    unit = float(np.hypot(shoulders[0][0] - shoulders[1][0], shoulders[0][1] - shoulders[1][1]))
    paint(picture, body, SHIRT, outline=unit * 0.006, shadow=0.14, shadow_reach=unit * 0.10)
    kept, added = _neck_and_collar(size, shoulders)
    window = _window_of(body)
    picture[window] *= kept[window]
    picture[window] += added[window]


def _window_of(solid: Solid) -> tuple[slice, slice]:
    height, width = solid.distance.shape
    return np.s_[solid.y : solid.y + height, solid.x : solid.x + width]


def _grow_sleeves(picture: Float, sleeves: Sequence[Solid | None], shoulders: Shoulders, unit: float) -> None:
    """Lets the sleeves grow smoothly out of the torso (polynomial smooth minimum of distances, Quilez 2013).

    Only the sleeves' windows are painted again; the rest of the torso stays as it is.
    """
    size = (picture.shape[0], picture.shape[1])
    torso, background = _torso(size, shoulders), _backdrop(size)
    distance, nx, ny = torso.distance.copy(), torso.nx.copy(), torso.ny.copy()
    soft = 0.05 * unit
    windows = [(sleeve, _window_of(sleeve)) for sleeve in sleeves if sleeve is not None]
    for sleeve, window in windows:
        share = np.clip(0.5 + 0.5 * (distance[window] - sleeve.distance) / soft, 0, 1)
        nx[window] += share * (sleeve.nx - nx[window])
        ny[window] += share * (sleeve.ny - ny[window])
        distance[window] += share * (sleeve.distance - distance[window]) - soft * share * (1 - share)
    for sleeve, window in windows:
        picture[window] = background[window]
        _dress(picture, Solid(sleeve.x, sleeve.y, distance[window], nx[window], ny[window]), size, shoulders)


def _stroke(path: Float, thickness: float, size: Size) -> Float:
    sheet = np.zeros(size, np.uint8)
    cv2.polylines(
        sheet, [(path * 16).round().astype(np.int32)], False, (255,), max(round(thickness), 1), cv2.LINE_AA, 4
    )
    return sheet.astype(np.float32) / 255


def _relief(outline: Float, size: Size, rounding: float) -> tuple[Float, Float, Float]:
    """Signed distance and slope of a filled outline that is rounded off over `rounding` pixels from its edge."""
    grow = 4
    wide = (size[0] * grow, size[1] * grow)
    sheet = np.zeros(wide, np.uint8)
    cv2.fillPoly(sheet, [(outline * grow * 16).round().astype(np.int32)], (255,), 8, 4)
    away = cv2.distanceTransform(255 - sheet, cv2.DIST_L2, 5) - cv2.distanceTransform(sheet, cv2.DIST_L2, 5)
    distance = cv2.resize(away, (size[1], size[0]), interpolation=cv2.INTER_AREA) / grow
    depth = cv2.GaussianBlur(np.clip(-distance / rounding, 0, 1), (0, 0), rounding * 0.25)
    gy, gx = np.gradient(depth * rounding)
    steep = np.clip(1 - depth, 0, 1)
    return distance, -gx * steep, -gy * steep


def _folds(picture: Float, middle: Float, unit: float) -> None:
    """A few soft folds, so that the shirt is not a flat patch."""
    for side in (-1, 1):
        for path, width, light in (
            ([(0.50, 0.30), (0.43, 0.36), (0.34, 0.38)], 0.030, -0.30),
            ([(0.52, 0.38), (0.42, 0.47), (0.30, 0.50)], 0.035, -0.24),
            ([(0.48, 0.40), (0.40, 0.42), (0.33, 0.43)], 0.020, 0.16),
            ([(0.20, 0.95), (0.32, 1.05), (0.48, 1.02)], 0.040, -0.22),
        ):
            curve = smooth_outline([(side * a, b) for a, b in path], closed=False) * unit + middle
            stroke = cv2.GaussianBlur(
                _stroke(curve, width * unit, (picture.shape[0], picture.shape[1])), (0, 0), unit * 0.022
            )
            picture *= (1 + light * stroke)[..., None]


def _place_head(picture: Float, nose: Float, unit: float) -> None:
    """Lays the head's sprite on the picture, to a fraction of a pixel."""
    colour, alpha = head(unit)
    corner = nose + (np.array(WINDOW[:2]) - _SPRITE_NOSE) * unit
    x, y = (int(v) for v in np.floor(corner))
    shift = np.array([[1, 0, corner[0] - x], [0, 1, corner[1] - y]], np.float64)
    height, width = alpha.shape[0] + 1, alpha.shape[1] + 1
    top, left = max(-y, 0), max(-x, 0)
    bottom, right = min(height, picture.shape[0] - y), min(width, picture.shape[1] - x)
    if bottom <= top or right <= left:
        return
    opaque = cv2.warpAffine(alpha, shift, (width, height), flags=cv2.INTER_LINEAR)[top:bottom, left:right]
    weighted = cv2.warpAffine(colour * alpha[..., None], shift, (width, height), flags=cv2.INTER_LINEAR)
    under = picture[y + top : y + bottom, x + left : x + right]
    under *= (1 - opaque)[..., None]
    under += weighted[top:bottom, left:right]


def _ramp(solid: Solid, origin: Float, axis: Float, start: float, stop: float) -> Float:
    """Coverage (h, w) that rises from 0 to 1 between two distances in pixels from origin along a direction."""
    height, width = solid.distance.shape
    y, x = np.mgrid[solid.y : solid.y + height, solid.x : solid.x + width].astype(np.float32)
    along = ((x - origin[0]) * axis[0] + (y - origin[1]) * axis[1]) / max(float(np.linalg.norm(axis)), 1e-6)
    t = np.clip((along - start) / (stop - start), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _upper_sleeve(shoulder: Float, elbow: Float, unit: float, size: Size) -> Solid | None:
    root = shoulder + np.array([0, 0.045 * unit], np.float32)
    return limb(np.stack([root, elbow]), (0.122 * unit, 0.098 * unit), size, unit * 0.25)


def _arm(
    picture: Float, sleeve: Solid | None, shoulder: Float, elbow: Float, wrist: Float, unit: float, palm: float
) -> None:
    """Upper sleeve, which grows out of the torso; then, nearer, the forearm and the lower sleeve with its cuff."""
    size, line = (picture.shape[0], picture.shape[1]), unit * 0.006
    axis, reach = wrist - elbow, unit * 0.25
    thick, narrow = 0.088 * unit, min(0.27 * palm, 0.085 * unit)
    if sleeve is not None:
        emerging = _ramp(sleeve, shoulder, elbow - shoulder, 0.06 * unit, 0.34 * unit)
        paint(picture, sleeve, SHIRT, outline=line, shadow=0.22, shadow_reach=unit * 0.05, coverage=emerging)
    end = wrist - axis * min(0.12 * palm / max(float(np.linalg.norm(axis)), 1e-6), 0.5)
    skin = limb(np.stack([elbow + 0.25 * axis, end]), (thick, narrow), size, reach)
    paint(picture, skin, SKIN, outline=line, shadow=0.30, shadow_reach=unit * 0.05)
    lower = limb(np.stack([elbow, elbow + 0.34 * axis]), (0.098 * unit, 0.092 * unit), size, reach, flat_end=True)
    if lower is not None:
        bend = _ramp(lower, elbow, axis, -0.06 * unit, 0.06 * unit)
        paint(picture, lower, SHIRT, outline=line, shadow=0.16, shadow_reach=unit * 0.03, coverage=bend)


def _hand(picture: Float, hand: Float, palm: float, facing: float) -> None:
    """Palm and jointed fingers, the nearer ones later: seen from the palm the fingers curl in front of it."""
    size, line = (picture.shape[0], picture.shape[1]), max(0.020 * palm, 0.7)
    material = PALM if facing > 0 else SKIN
    along = hand[9] - hand[0]

    def finger(number: int) -> None:
        joints = hand[list(_FINGERS[number])]
        radii = [r * palm for r in _RADII[number]]
        solid = limb(joints, radii, size, palm * 0.3)
        if solid is None:
            return
        first = joints[1] - joints[0]
        # An outstretched finger grows out of the palm without a line; a bent one is set off from it.
        outstretched = number > 0 and float(first @ along) > 0.5 * 0.4 * palm * float(np.linalg.norm(along))
        coverage = _ramp(solid, joints[0], first, -0.10 * palm, 0.07 * palm) if outstretched else None
        paint(picture, solid, material, outline=line, shadow=0.40, shadow_reach=palm * 0.10, coverage=coverage)
        if float(np.linalg.norm(joints[3] - joints[1])) < 0.28 * palm:
            # Pointing at the viewer, or curled: the nearer tip is set off from the joints behind it.
            paint(picture, limb(joints[2:], radii[2:], size, palm * 0.3), material, outline=0.7 * line, shadow=0.2)
        if facing < -0.15:
            _nail(picture, joints, radii[-1])

    def middle() -> None:
        across = (hand[17] - hand[5]) * 0.26
        rim = np.stack([hand[0] - across, hand[0] + across, 0.4 * hand[0] + 0.6 * hand[1], *hand[[5, 9, 13, 17]]])
        inset = rim + (rim.mean(axis=0) - rim) * 0.06
        solid = rounded_hull(inset.astype(np.float32), 0.115 * palm, size, palm * 0.3)
        if solid is None:
            return
        foreshortened = float(np.linalg.norm(along)) < 0.4 * palm
        coverage = None if foreshortened else _ramp(solid, hand[0], along, -0.12 * palm, 0.14 * palm)
        paint(picture, solid, material, outline=line, shadow=0.34, shadow_reach=palm * 0.10, coverage=coverage)

    if facing > 0:
        order: tuple[int | None, ...] = (None, 4, 3, 2, 1, 0)
    else:
        bent = [n for n in (4, 3, 2, 1) if float((hand[_FINGERS[n][-1]] - hand[_FINGERS[n][0]]) @ along) <= 0]
        order = (0, *bent, None, *[n for n in (4, 3, 2, 1) if n not in bent])
    for number in order:
        middle() if number is None else finger(number)


def _nail(picture: Float, joints: Float, radius: float) -> None:
    tip, before = joints[-1], joints[-2]
    length = float(np.linalg.norm(tip - before))
    if length < 1.6 * radius:
        return
    along = (tip - before) / length
    solid = limb(
        np.stack([tip - along * 0.25 * radius, tip + along * 0.35 * radius]),
        (0.55 * radius, 0.5 * radius),
        (picture.shape[0], picture.shape[1]),
        2,
    )
    if solid is not None:
        flat = Solid(solid.x, solid.y, solid.distance, solid.nx * 0.3, solid.ny * 0.3)
        paint(picture, flat, Material(NAIL, (0.85, 0.62, 0.53), SKIN.shade), outline=0.4)
