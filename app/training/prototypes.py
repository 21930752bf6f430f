"""Builds the prototype signer: for every gloss the DTW barycentre of its training clips, a performance of nobody.

    python -m app.training.prototypes --data ../shared/data/signs --out app/signer/assets/prototypes.json.gz

Steps per gloss: normalise by the shoulders, let every clip be right-handed, find the densest group of clips (a gloss
such as HELLO is done in several forms, and averaging across forms gives none of them), align that group to its
barycentre, then average body and hand shapes frame by frame over the aligned clips.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    DEFAULT_ASPECT,
    LEFT_ELBOW,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)
from app.signer.performance import FPS, PARENTS, smoothed
from app.training.barycentre import (
    Barycentre,
    accumulate,
    alignment_weights,
    barycentre,
    common_clock,
    frame_costs,
    pairwise_distances,
)

Float = NDArray[np.float64]

BODY = 25
FRAMES = 36
BAND = 0.35
#: Wrist of a hanging arm, in shoulder widths from the shoulder midpoint (x of the signer's left side).
REST_WRIST = np.array([0.62, 1.75])
#: A hand counts as lowered from here on.
LOWERED_Y = 1.2
#: The corpus holds few frames a second (about 10 to 15); this many frames at 25 fps stand for one of them.
STRETCH = 1.25
SHORTEST_S, LONGEST_S = 1.0, 1.4
#: Length of the figure's palm in shoulder widths: one pair of hands for all glosses, a little above the corpus' median
#: of 0.34, so that it is easily read.
PALM = 0.36
#: Least span of the knuckles in palm lengths (turned_to_viewer); a flat hand seen from the front has about 0.7.
OPENNESS = 0.5
#: Glosses of which the corpus' most common form is not the ASL citation form, and the number of hands that tells it
#: apart: GOOD ends on the other palm (many give a thumbs-up), THANK-YOU is one hand from the chin.
CITATION_HANDS = {"GOOD": 2, "THANK-YOU": 1}
_SHAPE_POINTS = (4, 5, 8, 12, 16, 17, 20)
_SWAP_BODY = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, BODY))]


@dataclass(frozen=True)
class Clip:
    """One recording in shoulder widths from the shoulder midpoint, y down; NaN = not seen; hand 0 = left, 1 = right.

    body (T, 25, 2); wrists (T, 2, 2), lowered where unseen; shapes (T, 2, 21, 2) relative to the wrist in hand sizes;
    hand_size (2,) shoulder widths.
    """

    signer: str
    body: Float
    wrists: Float
    shapes: Float
    hand_size: Float

    def mirrored(self) -> Clip:
        flip = np.array([-1.0, 1.0])
        return Clip(
            self.signer,
            self.body[:, _SWAP_BODY] * flip,
            self.wrists[:, ::-1] * flip,
            self.shapes[:, ::-1] * flip,
            self.hand_size[::-1],
        )

    def cut(self, start: int, stop: int) -> Clip:
        return Clip(
            self.signer, self.body[start:stop], self.wrists[start:stop], self.shapes[start:stop], self.hand_size
        )


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


def read_clip(pose: Float, left: Float, right: Float, signer: str, nose_y: float | None = None) -> Clip | None:
    """A corpus recording (pose (T,33,3), hands (T,21,2), zeros = missing) as a Clip; None where it is unusable.

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
    clip = Clip(signer, body, wrists, shapes, sizes)
    raised = np.isfinite(shapes[:, :, 0, 0]).any(axis=1) & (wrists[..., 1].min(axis=1) < LOWERED_Y)
    at = np.flatnonzero(raised)
    # A hand that comes and goes is one that the landmark model could not follow: too little to average.
    if len(at) < 10 or len(at) < 0.7 * (at[-1] - at[0] + 1):
        return None
    clip = clip.cut(int(at[0]), int(at[-1]) + 1)
    return clip.mirrored() if hand_effort(clip)[0] > hand_effort(clip)[1] else clip


def hands_used(clip: Clip) -> int:
    """1 or 2: is the left hand of a right-handed clip in the sign (0 where that cannot be told)?"""
    share = float((np.isfinite(clip.shapes[:, 0, 0, 0]) & (clip.wrists[:, 0, 1] < LOWERED_Y)).mean())
    return 2 if share > 0.6 else 1 if share < 0.3 else 0


def hand_effort(clip: Clip) -> Float:
    """How much each hand does: seconds raised, weighted by height, plus way travelled: (2,)."""
    seen = np.isfinite(clip.shapes[:, :, 0, 0])
    height = np.clip(LOWERED_Y - clip.wrists[..., 1], 0, None)
    way = np.linalg.norm(np.diff(clip.wrists, axis=0), axis=-1) * (seen[1:] & seen[:-1])
    return (height * seen).mean(axis=0) + way.sum(axis=0) / 4


def resampled(clip: Clip, frames: int) -> Clip:
    """The clip with so many equally spaced frames; a frame is unseen when its nearest neighbour was."""
    at = np.linspace(0, len(clip.body) - 1, frames)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(clip.body) - 1)
    share = at - low

    def take(values: Float) -> Float:
        w = share.reshape(-1, *[1] * (values.ndim - 1))
        mixed = (1 - w) * values[low] + w * values[high]
        return np.where(np.isfinite(mixed), mixed, values[np.rint(at).astype(int)])

    return Clip(clip.signer, take(clip.body), take(clip.wrists), take(clip.shapes), clip.hand_size)


def features(clip: Clip) -> Float:
    """What alignment looks at, scaled to about one: (T, F). Where the hands are, how they move, their shape."""
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
            others = [
                np.sort(distances[number, who == other])[:2].mean()
                for other in range(len(names))
                if other != who[number]
            ]
        else:
            others = list(np.delete(distances[number], number))
        nearer = np.sort(others)[: max(1, (len(others) + 1) // 2)]
        out[number] = nearer.mean() if len(nearer) else 0.0
    return out


def densest_group(clips: Sequence[Clip], keep: float, at_least: int, at_most: int) -> tuple[int, list[int], list[Clip]]:
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


@dataclass(frozen=True)
class Prototype:
    """An averaged performance, in shoulder widths from the shoulder midpoint, y down; hand 0 = left, 1 = right.

    nose (T, 2) offset from its middle place; elbows, wrists (T, 2, 2); hands (T, 2, 21, 2) relative to the wrist;
    present (T, 2).
    """

    gloss: str
    signers: int
    clips: int
    spread: float
    liveliness: float
    nose: Float
    elbows: Float
    wrists: Float
    hands: Float
    present: NDArray[np.bool_]


def average_group(gloss: str, clips: Sequence[Clip], lengths: Sequence[int], aligned: Barycentre) -> Prototype:
    """Averages aligned clips frame by frame. clips: all with FRAMES frames; lengths: their frames as recorded."""
    count, frames = len(clips), len(aligned.centre)
    weights = [alignment_weights(p, frames, len(c.body)) for p, c in zip(aligned.paths, clips, strict=True)]
    pick = np.stack([np.rint(w @ np.arange(w.shape[1])).astype(int) for w in weights])
    body = np.stack([c.body[p] for c, p in zip(clips, pick, strict=True)])
    wrists = np.stack([c.wrists[p] for c, p in zip(clips, pick, strict=True)])
    shapes = np.stack([c.shapes[p] for c, p in zip(clips, pick, strict=True)])
    votes = np.exp(-aligned.costs / np.median(aligned.costs))
    seen = np.isfinite(shapes[..., 0, 0])
    present = steady_presence((seen * votes[:, None, None]).sum(axis=0) / votes.sum() >= 0.5)
    hands = np.zeros((frames, 2, 21, 2))
    for side in range(2):
        usable = present[:, side] & seen[:, :, side].any(axis=0)
        ballot = np.zeros((frames, count))
        for frame in np.flatnonzero(usable):
            who = np.flatnonzero(seen[:, frame, side])
            _, ballot[frame, who] = averaged_shape(shapes[who, frame, side], votes[who])
        # Votes change slowly, so that the hand does not jump from one group of clips to another.
        ballot = smoothed(ballot, 2.0)
        for frame in np.flatnonzero(usable):
            who = np.flatnonzero(seen[:, frame, side] & (ballot[frame] > 0))
            hands[frame, side], _ = averaged_shape(shapes[who, frame, side], ballot[frame, who])
        at = np.flatnonzero(usable)
        if len(at):
            nearest = at[np.abs(np.arange(frames)[:, None] - at[None]).argmin(axis=1)]
            hands[:, side] = hands[nearest, side]
        else:
            present[:, side] = False
    hands *= PALM

    ballots = np.where(seen | ~present[None], votes[:, None, None], votes[:, None, None] * 0.2)
    wrist = np.stack(
        [
            [[weighted_median(wrists[:, f, s, d], ballots[:, f, s]) for d in range(2)] for s in range(2)]
            for f in range(frames)
        ]
    )
    wrist = with_amplitude(wrist, wrists)
    elbow = np.nanmedian(body[:, :, [LEFT_ELBOW, RIGHT_ELBOW]], axis=0)
    nose = np.nanmedian(body[:, :, NOSE] - np.nanmedian(body[:, :, NOSE], axis=1, keepdims=True), axis=0)

    clock = common_clock(aligned.paths, [len(c.body) for c in clips], frames)
    seconds = float(np.clip(np.median(lengths) * STRETCH / FPS, SHORTEST_S, LONGEST_S))
    at = np.interp(np.linspace(0, 1, round(seconds * FPS)), clock, np.arange(frames))

    def retimed(values: Float, sigma: float) -> Float:
        flat = smoothed(values.reshape(frames, -1), sigma)
        return np.stack([np.interp(at, np.arange(frames), column) for column in flat.T], axis=1).reshape(
            len(at), *values.shape[1:]
        )

    lengths_now = retimed(bone_lengths(hands), 1.2)
    shaped = with_bone_lengths(retimed(hands, 0.8), lengths_now)
    return Prototype(
        gloss,
        len({c.signer for c in clips}),
        count,
        float(np.sqrt(np.mean(aligned.costs))),
        liveliness(wrist, wrists),
        retimed(nose, 2.0),
        retimed(elbow, 1.5),
        retimed(wrist, 0.8),
        np.stack([turned_to_viewer(shaped[:, side]) for side in range(2)], axis=1),
        present[np.rint(at).astype(int)],
    )


def steady_presence(present: NDArray[np.bool_], shortest: int = 5) -> NDArray[np.bool_]:
    """(T, 2) presence without flicker: a hand is there all along when it is there most of the time."""
    reach = shortest // 2
    padded = np.pad(present.astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    out = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).mean(axis=-1) > 0.5
    return np.where(out.mean(axis=0) >= 0.5, True, out)


def with_amplitude(average: Float, single: Float, most: float = 1.7) -> Float:
    """Gives repeated movement its size back, which averaging over clips out of step shrinks, as it shortens bones.

    average (T, 2, 2); single (C, T, 2, 2). Scales what differs from the slow path by the clips' median amplitude over
    the average's, at most `most` times, never down.
    """

    def quick(path: Float) -> Float:
        return np.asarray(smoothed(path, 1.0) - smoothed(path, 5.0))

    own = np.sqrt((quick(average) ** 2).mean(axis=(0, 2)))
    theirs = np.median([np.sqrt((quick(path) ** 2).mean(axis=(0, 2))) for path in single], axis=0)
    gain = np.clip(theirs / np.maximum(own, 1e-9), 1.0, most)
    slow = smoothed(average, 5.0)
    return np.asarray(slow + (average - slow) * gain[None, :, None])


def liveliness(average: Float, single: Float) -> float:
    """Way travelled by the averaged right wrist against that of the clips it came from (1 = nothing averaged away).

    average (T, 2, 2); single (C, T, 2, 2), the aligned clips' wrists.
    """

    def way(path: Float) -> float:
        return float(np.linalg.norm(np.diff(smoothed(path[:, 1], 1.0), axis=0), axis=-1).sum())

    return way(average) / max(float(np.median([way(path) for path in single])), 1e-9)


def build_gloss(gloss: str, clips: Sequence[Clip], keep: float, at_most: int) -> Prototype:
    """The prototype of one gloss from candidate clips (right-handed as far as one clip alone can tell)."""
    lengths = [len(c.body) for c in clips]
    middle, group, turned = densest_group([resampled(c, FRAMES) for c in clips], keep, 8, at_most)
    chosen = [turned[i] for i in group]
    aligned = barycentre(
        [features(c) for c in chosen], features(turned[middle]), iterations=8, band=BAND, tolerance=1e-3
    )
    return average_group(gloss, chosen, [lengths[i] for i in group], aligned)


def as_json(prototypes: Iterable[Prototype], body: Float, provenance: Mapping[str, str]) -> dict[str, object]:
    """The file's content: whole numbers in thousandths of a shoulder width, hands only where present."""

    def whole(values: Float) -> list[object]:
        return list(np.rint(values * 1000).astype(int).tolist())

    glosses = {}
    for p in prototypes:
        entry: dict[str, object] = {
            "signers": p.signers,
            "clips": p.clips,
            "nose": whole(p.nose),
            "elbows": whole(p.elbows),
            "wrists": whole(p.wrists),
        }
        for side, name in enumerate(("left", "right")):
            at = np.flatnonzero(p.present[:, side])
            if len(at):
                entry[name] = {"start": int(at[0]), "points": whole(p.hands[at[0] : at[-1] + 1, side])}
        glosses[p.gloss] = entry
    return {
        "format": 1,
        "unit": "1/1000 shoulder width; origin at the shoulder midpoint, x right, y down; hands relative to the wrist",
        "fps": FPS,
        **provenance,
        "body": whole(body),
        "glosses": glosses,
    }


def typical_body(clips: Sequence[Clip]) -> Float:
    """The body of nobody in particular: (25, 2) median over the clips, made symmetric, arms and hips hanging."""
    body = np.nanmedian(np.stack([np.nanmedian(c.body, axis=0) for c in clips]), axis=0)
    return (body + body[_SWAP_BODY] * [-1, 1]) / 2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz and clips.csv")
    parser.add_argument("--out", type=Path, default=Path("app/signer/assets/prototypes.json.gz"))
    parser.add_argument("--gloss", nargs="*", help="only these (default: all but NONE and the letters)")
    parser.add_argument("--candidates", type=int, default=60, help="clips looked at per gloss")
    parser.add_argument("--per-signer", type=int, default=6)
    parser.add_argument("--keep", type=float, default=0.4, help="share of the candidates that is averaged")
    parser.add_argument("--at-most", type=int, default=20, help="clips averaged per gloss")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    with np.load(options.data / "train.npz", allow_pickle=False) as stored:
        offsets, blocks = stored["offsets"], [stored[name] for name in ("pose", "left", "right")]
    with (options.data / "clips.csv").open(newline="") as rows:
        listed = [row for row in csv.DictReader(rows) if row["split"] == "train"]
    wanted = options.gloss or sorted(
        {row["gloss"] for row in listed if row["gloss"] != "NONE" and not row["gloss"].startswith("FS-")}
    )
    chosen: dict[str, list[dict[str, str]]] = {}
    for gloss in wanted:
        of_gloss = [row for row in listed if row["gloss"] == gloss]
        if not of_gloss:
            raise SystemExit(f"no training clip of {gloss} in {options.data}")
        chosen[gloss] = of_gloss

    def read(row: dict[str, str], nose_y: float | None) -> Clip | None:
        number = int(row["clip"])
        span = slice(int(offsets[number]), int(offsets[number + 1]))
        pose, left, right = (block[span].astype(np.float64) for block in blocks)
        return read_clip(pose, left, right, row["signer"], nose_y)

    sample = [read(row, None) for rows in chosen.values() for row in rows[:: max(1, len(rows) // 30)]]
    body = typical_body([clip for clip in sample if clip is not None])
    prototypes = []
    for number, (gloss, rows) in enumerate(chosen.items()):
        rng = np.random.default_rng([options.seed, number])
        hands, clips = CITATION_HANDS.get(gloss), []
        for row in (rows[i] for i in choose_clips([row["signer"] for row in rows], len(rows), len(rows), rng)):
            clip = read(row, float(body[NOSE, 1]))
            if clip is not None and hands in (None, hands_used(clip)):
                clips.append(clip)
        # A gloss of few signers may take more of each, so that there is something to average.
        per_signer = max(options.per_signer, -(-24 // max(len({c.signer for c in clips}), 1)))
        picks = choose_clips([c.signer for c in clips], options.candidates, per_signer, rng)
        clips = [clips[i] for i in picks]
        prototypes.append(build_gloss(gloss, clips, options.keep, options.at_most))
        p = prototypes[-1]
        logger.info(
            "{:17s} {:2d} clips of {:2d} signers, {:.2f} s, spread {:.2f}, liveliness {:.2f}, hands {}",
            gloss,
            p.clips,
            p.signers,
            len(p.wrists) / FPS,
            p.spread,
            p.liveliness,
            p.present.mean(axis=0).round(2),
        )
    provenance = {"method": "DTW barycentre of training clips of several signers; app/training/prototypes.py"}
    text = json.dumps(as_json(prototypes, body, provenance), separators=(",", ":"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    logger.info("{} glosses, {:.0f} kB in {}", len(prototypes), options.out.stat().st_size / 1000, options.out)


if __name__ == "__main__":
    main()
