"""Averaging sequences of different speed: dynamic time warping and the DTW barycentre.

Dynamic time warping: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978.
Barycentre: Petitjean, Ketterlin and Gançarski, "A global averaging method for dynamic time warping", 2011.
Values that were not observed are NaN: they cost nothing against each other, a fixed price against an observed value,
and take no part in a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Path = NDArray[np.int64]

#: Price per feature of pairing an observed value with a missing one; features are expected at a scale of about one.
MISSING_PRICE = 0.25


def frame_costs(first: Float, second: Float, missing_price: float = MISSING_PRICE) -> Float:
    """Squared distance of every frame of one sequence to every frame of the other: (N, F), (M, F) -> (N, M)."""
    seen_a, seen_b = np.isfinite(first), np.isfinite(second)
    a, b = np.where(seen_a, first, 0.0), np.where(seen_b, second, 0.0)
    va, vb = seen_a.astype(np.float64), seen_b.astype(np.float64)
    squared = (a * a) @ vb.T + va @ (b * b).T - 2.0 * (a @ b.T)
    unpaired = va @ (1.0 - vb).T + (1.0 - va) @ vb.T
    return np.maximum(squared, 0.0) + missing_price * unpaired


def accumulate(costs: Float, band: float = 1.0) -> Float:
    """Cheapest cost of reaching every cell: (..., N, M) -> (..., N, M), inf outside the band.

    band: half width of the Sakoe-Chiba band as a share of the longer side (1 = no band); the corner cells are always
    inside it.
    """
    *batch, n, m = costs.shape
    reach = max(band * max(n, m), abs(n - m) / min(n, m) + 1.0)
    rows, columns = np.ogrid[:n, :m]
    inside = np.abs(columns - rows * (m - 1) / max(n - 1, 1)) <= reach
    # The cells of one anti-diagonal need only the two before it, so each is one vector operation over its rows.
    diagonals = np.full((n + m - 1, *batch, n + 1), np.inf)
    r, c = np.nonzero(inside)
    for k in range(n + m - 1):
        on = r + c == k
        i, j = r[on], c[on]
        here = diagonals[k]
        if k == 0:
            here[..., 1] = costs[..., 0, 0]
            continue
        before = np.minimum(diagonals[k - 1][..., i + 1], diagonals[k - 1][..., i])
        if k > 1:
            before = np.minimum(before, diagonals[k - 2][..., i])
        here[..., i + 1] = before + costs[..., i, j]
    total = np.full(costs.shape, np.inf)
    total[..., r, c] = np.moveaxis(diagonals[r + c, ..., r + 1], 0, -1)
    return total


def warping_path(costs: Float, band: float = 1.0) -> tuple[float, Path]:
    """The cheapest monotone alignment of (N, M) frame costs: its cost and its frame pairs (steps, 2)."""
    total = accumulate(costs, band)
    i, j = costs.shape[0] - 1, costs.shape[1] - 1
    steps = [(i, j)]
    while i or j:
        before = [(i - a, j - b) for a, b in ((1, 1), (1, 0), (0, 1)) if i >= a and j >= b]
        i, j = min(before, key=lambda cell: (total[cell], cell))
        steps.append((i, j))
    return float(total[-1, -1]), np.array(steps[::-1], np.int64)


def pairwise_distances(clips: Float, band: float = 1.0) -> Float:
    """DTW distance per frame between clips of one length: (C, T, F) -> symmetric (C, C)."""
    count, frames = clips.shape[:2]
    rows, columns = np.triu_indices(count, 1)
    distances = np.zeros((count, count))
    if len(rows):
        costs = np.stack([frame_costs(clips[i], clips[j]) for i, j in zip(rows, columns, strict=True)])
        found = accumulate(costs, band)[:, -1, -1] / frames
        distances[rows, columns] = distances[columns, rows] = found
    return distances


def alignment_weights(path: Path, frames: int, clip_frames: int) -> Float:
    """How much each frame of an aligned clip says about each of the centre: (frames, clip_frames), rows sum to one."""
    weights = np.zeros((frames, clip_frames))
    weights[path[:, 0], path[:, 1]] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class Barycentre:
    """The average of clips, and how each is aligned to it."""

    centre: Float
    """(T, F), NaN where less than half of the clips have a value."""
    paths: tuple[Path, ...]
    """Pairs of centre frame and clip frame, for each clip."""
    costs: Float
    """DTW distance of each clip to the centre, per frame of the centre."""


def barycentre(
    clips: Sequence[Float], start: Float, *, iterations: int = 10, band: float = 1.0, tolerance: float = 1e-4
) -> Barycentre:
    """The sequence with the least sum of squared DTW distances to the clips that is reachable from `start`.

    clips: arrays (T_i, F); start: (T, F), whose length the result keeps. Each clip has one vote per centre frame,
    however many of its frames fall on it. Raises ValueError without clips.
    """
    if not clips:
        raise ValueError("a barycentre needs at least one clip")
    vote = 1 / len(clips)
    centre = np.array(start, np.float64)
    previous = np.inf
    for _ in range(max(iterations, 1)):
        sums, seen = np.zeros_like(centre), np.zeros_like(centre)
        for clip in clips:
            _, path = warping_path(frame_costs(centre, clip), band)
            weights = alignment_weights(path, len(centre), len(clip)) * vote
            known = np.isfinite(clip)
            sums += weights @ np.where(known, clip, 0.0)
            seen += weights @ known.astype(np.float64)
        centre = np.where(seen >= 0.5, sums / np.maximum(seen, 1e-12), np.nan)
        found = [warping_path(frame_costs(centre, clip), band) for clip in clips]
        costs = np.array([cost for cost, _ in found]) / len(centre)
        mean = float(costs.mean())
        if previous - mean < tolerance * max(mean, 1e-12):
            break
        previous = mean
    return Barycentre(centre, tuple(path for _, path in found), costs)


def common_clock(paths: Sequence[Path], lengths: Sequence[int], frames: int) -> Float:
    """When, in the average clip, each centre frame happens: (frames,) from 0 to 1, strictly increasing.

    A barycentre keeps the clock of the sequence it started from; this is the mean of all the clips' clocks.
    """
    clock = np.zeros(frames)
    for path, length in zip(paths, lengths, strict=True):
        clock += alignment_weights(path, frames, length) @ (np.arange(length) / max(length - 1, 1))
    clock = np.maximum.accumulate(clock / len(paths)) + np.arange(frames) * 1e-6
    return (clock - clock[0]) / (clock[-1] - clock[0]) if frames > 1 else np.zeros(1)
