"""The recordings a prototype is made from: measured in shoulder widths, right-handed, of one form of the sign."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, LEFT_SHOULDER, LEFT_WRIST, NOSE, RIGHT_SHOULDER, RIGHT_WRIST
from app.signer.making.barycentre import accumulate, frame_costs, pairwise_distances
from app.signer.performance import mixed

Float = NDArray[np.float64]

BODY = 25
#: Half width of the warping band as a share of the clips' length.
BAND = 0.35
#: Wrist of a hanging arm, in shoulder widths from the shoulder midpoint (x of the signer's left side).
REST_WRIST = np.array([0.62, 1.75])
#: A hand counts as lowered from here on.
LOWERED_Y = 1.2
_SHAPE_POINTS = (4, 5, 8, 12, 16, 17, 20)
_SWAP_BODY = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, BODY))]


@dataclass(frozen=True)
class BodyClip:
    """One recording in shoulder widths from the shoulder midpoint, y down; NaN = not seen; hand 0 = left, 1 = right."""

    signer: str
    body: Float
    """(T, 25, 2)"""
    wrists: Float
    """(T, 2, 2), lowered where not seen."""
    shapes: Float
    """(T, 2, 21, 2) relative to the wrist, in hand sizes."""
    hand_size: Float
    """(2,) in shoulder widths."""

    def mirrored(self) -> BodyClip:
        flip = np.array([-1.0, 1.0])
        return BodyClip(
            self.signer,
            self.body[:, _SWAP_BODY] * flip,
            self.wrists[:, ::-1] * flip,
            self.shapes[:, ::-1] * flip,
            self.hand_size[::-1],
        )

    def map(self, change: Callable[[Float], Float]) -> BodyClip:
        """The clip with everything that has a value for each frame changed."""
        return replace(self, body=change(self.body), wrists=change(self.wrists), shapes=change(self.shapes))


def hand_sizes(hands: Float) -> Float:
    """Length of the palm, whichever way the hand points: (T, 2, 21, 2) -> (2,), NaN if never seen."""
    spans = [np.linalg.norm(hands[:, :, a] - hands[:, :, b], axis=-1) for a, b in ((0, 5), (0, 9), (0, 17), (5, 17))]
    widest = np.max(spans, axis=0)
    return np.array([np.percentile(w[np.isfinite(w)], 70) if np.isfinite(w).any() else np.nan for w in widest.T])


def fill_gaps(values: Float, longest: int) -> Float:
    """Linear interpolation over runs of at most `longest` unseen frames between two seen ones: (T, ...) -> same."""
    out = values.copy()
    seen = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    known = np.flatnonzero(seen)
    for before, after in itertools.pairwise(known):
        if 1 < after - before <= longest + 1:
            for frame in range(before + 1, after):
                share = (frame - before) / (after - before)
                out[frame] = (1 - share) * values[before] + share * values[after]
    return out


def read_clip(pose: Float, left: Float, right: Float, signer: str, nose_y: float | None = None) -> BodyClip | None:
    """A corpus recording (pose (T,33,3), hands (T,21,2), zeros = missing) as a BodyClip; None where it is unusable.

    nose_y: height of the nose above the shoulders of the figure that will sign; what happens above the shoulders is
    stretched to it, so that a hand at the chin stays at the chin.
    """
    scale = np.array([DEFAULT_ASPECT, 1.0])
    body = np.where((pose != 0).any(axis=(1, 2))[:, None, None], pose[:, :BODY, :2], np.nan) * scale
    hands = np.stack([left, right], axis=1)
    hands = np.where((hands != 0).any(axis=(2, 3))[:, :, None, None], hands, np.nan) * scale
    shoulders = body[:, [LEFT_SHOULDER, RIGHT_SHOULDER]]
    if np.isfinite(shoulders).all(axis=(1, 2)).sum() < 8:
        return None
    unit = float(np.nanmedian(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1)))
    if unit < 0.1:
        return None
    origin = fill_gaps(shoulders.mean(axis=1), len(body))[:, None]
    body, hands = fill_gaps((body - origin) / unit, 5), fill_gaps((hands - origin[:, None]) / unit, 4)
    sizes = hand_sizes(hands)
    wrists = hands[:, :, 0]
    shapes = (hands - wrists[:, :, None]) / sizes[None, :, None, None]
    rest = np.stack([REST_WRIST, REST_WRIST * [-1, 1]])
    pose_wrists = body[:, [LEFT_WRIST, RIGHT_WRIST]]
    visible = np.isfinite(pose_wrists).all(axis=-1) & (pose[:, [LEFT_WRIST, RIGHT_WRIST], 2] > 0.5)
    pose_wrists = np.where(visible[..., None] & (pose_wrists[..., 1:] < LOWERED_Y), pose_wrists, rest)
    wrists = np.where(np.isfinite(wrists), wrists, pose_wrists)
    if nose_y is not None:
        seen_nose = float(np.nanmedian(body[:, NOSE, 1]))
        if not -1.4 < seen_nose < -0.3:
            return None
        for points in (body, wrists):
            points[..., 1] *= np.where(points[..., 1] < 0, nose_y / seen_nose, 1.0)
    clip = BodyClip(signer, body, wrists, shapes, sizes)
    raised = np.isfinite(shapes[:, :, 0, 0]).any(axis=1) & (wrists[..., 1].min(axis=1) < LOWERED_Y)
    at = np.flatnonzero(raised)
    # A hand that comes and goes is one that the landmark model could not follow: too little to average.
    if len(at) < 10 or len(at) < 0.7 * (at[-1] - at[0] + 1):
        return None
    clip = clip.map(lambda values: values[at[0] : at[-1] + 1])
    return clip.mirrored() if hand_effort(clip)[0] > hand_effort(clip)[1] else clip


def hands_used(clip: BodyClip) -> int:
    """1 or 2: whether the left hand takes part in the sign of a right-handed clip; 0 if that is unclear."""
    share = float((np.isfinite(clip.shapes[:, 0, 0, 0]) & (clip.wrists[:, 0, 1] < LOWERED_Y)).mean())
    return 2 if share > 0.6 else 1 if share < 0.3 else 0


def hand_effort(clip: BodyClip) -> Float:
    """How much each hand does: seconds raised, weighted by height, plus way travelled: (2,)."""
    seen = np.isfinite(clip.shapes[:, :, 0, 0])
    height = np.clip(LOWERED_Y - clip.wrists[..., 1], 0, None)
    way = np.linalg.norm(np.diff(clip.wrists, axis=0), axis=-1) * (seen[1:] & seen[:-1])
    return (height * seen).mean(axis=0) + way.sum(axis=0) / 4


def resampled(clip: BodyClip, frames: int) -> BodyClip:
    """The clip resampled to equally spaced frames; a frame is unseen when its nearest neighbour was."""
    at = np.linspace(0, len(clip.body) - 1, frames)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(clip.body) - 1)

    def take(values: Float) -> Float:
        between = mixed(values[low], values[high], at - low)
        return np.where(np.isfinite(between), between, values[np.rint(at).astype(int)])

    return clip.map(take)


def features(clip: BodyClip) -> Float:
    """Features for alignment, scaled to about one: (T, F). Position, motion and shape of the hands."""
    wrists = clip.wrists.copy()
    wrists[..., 1] = np.minimum(wrists[..., 1], LOWERED_Y + 0.1)
    speed = np.gradient(wrists, axis=0)
    shape = clip.shapes[:, :, _SHAPE_POINTS] / (0.35 * np.sqrt(len(_SHAPE_POINTS)))
    count = len(wrists)
    return np.concatenate(
        [(wrists / 0.2).reshape(count, -1), (speed / 0.06).reshape(count, -1), shape.reshape(count, -1)], axis=1
    )


def choose_clips(signers: Sequence[str], most: int, per_signer: int, rng: np.random.Generator) -> list[int]:
    """At most `most` clip numbers, as evenly over the signers as they allow, at most `per_signer` of each."""
    by_signer: dict[str, list[int]] = {}
    for number in rng.permutation(len(signers)):
        by_signer.setdefault(signers[number], []).append(int(number))
    chosen: list[int] = []
    for turn in range(per_signer):
        for numbers in by_signer.values():
            if turn < len(numbers) and len(chosen) < most:
                chosen.append(numbers[turn])
    return sorted(chosen)


def closeness(distances: Float, signers: Sequence[str]) -> Float:
    """How far each clip is from the nearer half of the other signers (of the other clips where there is one signer)."""
    names = sorted(set(signers))
    who = np.array([names.index(s) for s in signers])
    out = np.zeros(len(signers))
    for number in range(len(signers)):
        if len(names) > 1:
            others = [np.sort(distances[number, who == o])[:2].mean() for o in range(len(names)) if o != who[number]]
        else:
            others = list(np.delete(distances[number], number))
        nearer = np.sort(others)[: max(1, (len(others) + 1) // 2)]
        out[number] = nearer.mean() if len(nearer) else 0.0
    return out


def densest_group(
    clips: Sequence[BodyClip], keep: float, at_least: int, at_most: int
) -> tuple[int, list[int], list[BodyClip]]:
    """The clips that do the gloss in its most common form.

    Returns the number of the clip in their middle, the numbers of the group, and all the clips, now as the mirror
    image where that is nearer to the middle.
    """
    clips = list(clips)
    signers = [c.signer for c in clips]
    for _ in range(2):
        seen = np.stack([features(c) for c in clips])
        distances = pairwise_distances(seen, BAND)
        middle = int(closeness(distances, signers).argmin())
        turned = [c.mirrored() for c in clips]
        costs = np.stack([frame_costs(seen[middle], features(c)) for c in turned])
        flipped = accumulate(costs, BAND)[:, -1, -1] / len(seen[middle])
        better = flipped < 0.9 * distances[middle]
        if not better.any():
            break
        clips = [t if b else c for c, t, b in zip(clips, turned, better, strict=True)]
    order = np.argsort(distances[middle])
    count = int(np.clip(round(keep * len(clips)), min(at_least, len(clips)), at_most))
    group = [int(i) for i in order[:count]]
    if len({signers[i] for i in group}) < 2:
        group += [int(i) for i in order if signers[int(i)] != signers[middle]][:2]
    return middle, group, clips


def typical_body(clips: Sequence[BodyClip]) -> Float:
    """The average body: (25, 2) median over the clips, made symmetric, arms and hips hanging."""
    body = np.nanmedian(np.stack([np.nanmedian(c.body, axis=0) for c in clips]), axis=0)
    return (body + body[_SWAP_BODY] * [-1, 1]) / 2
