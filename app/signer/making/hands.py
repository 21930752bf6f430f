"""One crisp hand from many: averages that keep the form, the length of the bones and something to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.signer.performance import PARENTS, smoothed

Float = NDArray[np.float64]

#: Length of the figure's palm in shoulder widths: one pair of hands for all glosses, a little above the corpus' median
#: of 0.34, so that it is easily read.
PALM = 0.36
#: Least span of the knuckles in palm lengths (turned_to_viewer); a flat hand seen from the front has about 0.7.
OPENNESS = 0.34


def averaged_shape(shapes: Float, votes: Float) -> tuple[Float, Float]:
    """One crisp hand from many: (C, 21, 2), (C,) -> (21, 2) and the votes in the end.

    Rotation is taken out (orthogonal Procrustes), the mean moves to where the votes are dense (mean shift, so that two
    different shapes do not give a third), and every bone gets its median length back, which a mean would shorten.
    """
    z = shapes[..., 0] + 1j * shapes[..., 1]
    apart = np.abs(z[:, None] - z[None]).mean(axis=-1)
    start = int((apart * votes).sum(axis=1).argmin())
    mean, weight, angle = z[start], votes, np.zeros(len(z))
    for _ in range(6):
        angle = np.angle((np.conj(z) * mean).sum(axis=-1))
        away = np.abs(z - mean).mean(axis=-1)
        width = max(float(np.sort(away)[len(away) // 2]), 1e-6)
        weight = votes * np.exp(-0.5 * (away / width) ** 2)
        weight = weight / weight.sum()
        turned = z * np.exp(1j * angle)[:, None]
        mean = (weight[:, None] * turned).sum(axis=0)
        # The mean keeps the group's own direction, not that of the clip it started from.
        mean = mean * np.exp(-1j * np.angle((weight * np.exp(1j * angle)).sum()))
    bones = z - z[:, list(PARENTS)]
    lengths = np.array([weighted_median(np.abs(bones[:, k]), weight) for k in range(z.shape[1])])
    fixed = with_bone_lengths(np.stack([mean.real, mean.imag], axis=-1), lengths)
    return fixed, weight


def turned_to_viewer(hands: Float, least: float = OPENNESS, most: float = 2.2) -> Float:
    """Tilts hands seen edge-on a little towards the viewer, as one does for a camera: (T, 21, 2) -> same.

    Widens the hand across its axis until the knuckles span `least` of the palm's length, at most `most` times, evenly
    over the sign. A hand that is only a line is neither read by people nor found by the landmark model.
    """
    axis = hands[:, 9] / np.maximum(np.linalg.norm(hands[:, 9], axis=-1, keepdims=True), 1e-9)
    normal = np.stack([-axis[:, 1], axis[:, 0]], axis=-1)
    across = (hands * normal[:, None]).sum(axis=-1)
    span = np.abs(across[:, 5] - across[:, 17]) / PALM
    gain = smoothed(np.clip(least / np.maximum(span, 1e-9), 1.0, most), 3.0)
    gains = np.repeat(gain[:, None], hands.shape[1], axis=1)
    # The thumb sticks out of the plane of the palm: that much wider it would part from the hand.
    gains[:, 1:5] = np.minimum(gains[:, 1:5], 1.25)
    return np.asarray(hands + ((gains - 1) * across)[..., None] * normal[:, None])


def weighted_median(values: Float, weights: Float) -> float:
    """The value below which half of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def with_bone_lengths(hand: Float, lengths: Float) -> Float:
    """The same bone directions with other lengths: (..., 21, 2), (..., 21) -> (..., 21, 2), wrist at the origin."""
    out = np.zeros_like(hand)
    for point in range(1, hand.shape[-2]):
        bone = hand[..., point, :] - hand[..., PARENTS[point], :]
        norm = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
        out[..., point, :] = out[..., PARENTS[point], :] + bone / norm * lengths[..., point, None]
    return out


def bone_lengths(hand: Float) -> Float:
    """(..., 21, 2) -> (..., 21)."""
    return np.linalg.norm(hand - hand[..., list(PARENTS), :], axis=-1)
