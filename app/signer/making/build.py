"""Builds the prototype signer, which shows no real person: for every gloss the DTW barycentre of its training clips.

Run by `python -m app prototypes`.

Steps per gloss: normalise by the shoulders, let every clip be right-handed, find the densest group of clips (a gloss
such as HELLO is done in several forms, and averaging across forms gives none of them), align that group to its
barycentre, then average body and hand shapes frame by frame over the aligned clips.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_ELBOW, NOSE, RIGHT_ELBOW
from app.signer.making.arms import Elbows
from app.signer.making.barycentre import Barycentre, alignment_weights, barycentre, common_clock
from app.signer.making.clips import (
    BAND,
    BodyClip,
    choose_clips,
    densest_group,
    features,
    hands_used,
    read_clip,
    resampled,
    typical_body,
)
from app.signer.making.hands import (
    PALM,
    averaged_shape,
    bone_lengths,
    turned_to_viewer,
    weighted_median,
    with_bone_lengths,
)
from app.signer.performance import FPS, Performance, mixed, smoothed
from app.signer.store import with_both_hands

Float = NDArray[np.float64]

#: Every clip is brought to this many frames, about what the corpus holds, before it is aligned.
FRAMES = 36
#: The corpus holds few frames a second (about 10 to 15); this many frames at 25 fps stand for one of them.
STRETCH = 1.25
SHORTEST_S, LONGEST_S = 1.0, 1.4
#: From so many clips on an average is a median.
MANY = 8
#: Glosses whose most common form in the corpus is not the ASL citation form, and the number of hands that
#: distinguishes it: GOOD ends on the other palm (many give a thumbs-up), THANK-YOU is one hand from the chin.
CITATION_HANDS = {"GOOD": 2, "THANK-YOU": 1}
#: Glosses that the recordings repeat without a pause and that are complete when the right hand has come down.
ENDS_LOW = ("GOOD",)
#: By how much the right hand is lower in the citation form than in the recordings (shoulder widths): in front of a
#: webcam, whose picture ends below the chest, people point at their neck to say IX-1.
LOWERED = {"IX-1": 0.3}


@dataclass(frozen=True)
class AveragedSign:
    """An averaged performance, in shoulder widths from the shoulder midpoint, y down; hand 0 = left, 1 = right."""

    gloss: str
    signers: int
    clips: int
    spread: float
    """Root mean square distance of the clips from their average."""
    liveliness: float
    """Way travelled by the right wrist against that of the clips, see `liveliness`."""
    nose: Float
    """(T, 2) offset from its middle place."""
    elbows: Float
    """(T, 2, 2)"""
    wrists: Float
    """(T, 2, 2)"""
    hands: Float
    """(T, 2, 21, 2) relative to the wrist."""
    present: NDArray[np.bool_]
    """(T, 2)"""

    def performance(self) -> Performance:
        """What the prototype signer does."""
        raised = self.present.astype(np.float64)
        return with_both_hands(Performance(self.nose, self.elbows, self.wrists, self.hands, raised))


def average_group(
    gloss: str, clips: Sequence[BodyClip], aligned: Barycentre, seconds: float, elbows: Elbows | None = None
) -> AveragedSign:
    """Averages aligned clips frame by frame. clips: all with FRAMES frames; seconds: how long the sign lasts.

    elbows: where elbows are, for clips that do not show them.
    """
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
    wrist = np.zeros(wrists.shape[1:])
    for f, s, d in np.ndindex(wrist.shape):
        # The median of few clips jumps from one to another.
        middle = weighted_median if count >= MANY else np.average
        wrist[f, s, d] = middle(wrists[:, f, s, d], weights=ballots[:, f, s])
    wrist = with_amplitude(wrist, wrists)
    elbow = elbows(wrist) if elbows else np.nanmedian(body[:, :, [LEFT_ELBOW, RIGHT_ELBOW]], axis=0)
    nose = np.nanmedian(body[:, :, NOSE] - np.nanmedian(body[:, :, NOSE], axis=1, keepdims=True), axis=0)

    clock = common_clock(aligned.paths, [len(c.body) for c in clips], frames)
    at = np.interp(np.linspace(0, 1, round(seconds * FPS)), clock, np.arange(frames))

    def retimed(values: Float, sigma: float) -> Float:
        flat = smoothed(values.reshape(frames, -1), sigma)
        columns = [np.interp(at, np.arange(frames), column) for column in flat.T]
        return np.stack(columns, axis=1).reshape(len(at), *values.shape[1:])

    lengths_now = retimed(bone_lengths(hands), 1.2)
    shaped = with_bone_lengths(retimed(hands, 0.8), lengths_now)
    return AveragedSign(
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


def ended_low(prototype: AveragedSign) -> AveragedSign:
    """The sign up to where the right hand is lowest, stretched to a second, and held there for a quarter of one."""
    lowest = int(prototype.wrists[:, 1, 1].argmax())
    at = np.concatenate([np.linspace(0, lowest, FPS), np.full(round(0.24 * FPS), lowest)])
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, lowest)

    def timed(values: Float) -> Float:
        return mixed(values[before], values[after], at - before)

    return replace(
        prototype,
        nose=timed(prototype.nose),
        elbows=timed(prototype.elbows),
        wrists=timed(prototype.wrists),
        hands=timed(prototype.hands),
        present=prototype.present[np.rint(at).astype(int)],
    )


def lowered(prototype: AveragedSign, by: float) -> AveragedSign:
    """The right hand moved down (shoulder widths), its elbow half as far."""
    down = np.array([[0.0, 0.0], [0.0, by]])
    return replace(prototype, wrists=prototype.wrists + down, elbows=prototype.elbows + down / 2)


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


def build_gloss(gloss: str, clips: Sequence[BodyClip], keep: float, at_most: int) -> AveragedSign:
    """The prototype of one gloss from candidate clips (right-handed as far as a single clip shows)."""
    lengths = [len(c.body) for c in clips]
    middle, group, turned = densest_group([resampled(c, FRAMES) for c in clips], keep, 8, at_most)
    chosen = [turned[i] for i in group]
    aligned = barycentre(
        [features(c) for c in chosen], features(turned[middle]), iterations=8, band=BAND, tolerance=1e-3
    )
    seconds = float(np.clip(np.median([lengths[i] for i in group]) * STRETCH / FPS, SHORTEST_S, LONGEST_S))
    prototype = average_group(gloss, chosen, aligned, seconds)
    if gloss in LOWERED:
        prototype = lowered(prototype, LOWERED[gloss])
    return ended_low(prototype) if gloss in ENDS_LOW else prototype


@dataclass(frozen=True)
class Recording:
    """One recording of a sign, as MediaPipe found it: image coordinates, missing = zeros."""

    signer: str
    pose: Float
    """(T, 33, 3) x, y, visibility."""
    left: Float
    """(T, 21, 2)"""
    right: Float
    """(T, 21, 2)"""


def common_body(recordings: Mapping[str, Sequence[Recording]]) -> Float:
    """The figure's body (25, 2), from some recordings of every gloss."""
    of_some = (r for of_gloss in recordings.values() for r in of_gloss[:: max(1, len(of_gloss) // 30)])
    sample = [read_clip(r.pose, r.left, r.right, r.signer) for r in of_some]
    return typical_body([clip for clip in sample if clip is not None])


def body_clips(recordings: Iterable[Recording], nose_y: float) -> list[BodyClip]:
    """Those that are usable, for a figure whose nose is that high above its shoulders."""
    clips = (read_clip(r.pose, r.left, r.right, r.signer, nose_y) for r in recordings)
    return [clip for clip in clips if clip is not None]


def make_prototypes(
    recordings: Mapping[str, Sequence[Recording]],
    wanted: Collection[str],
    body: Float,
    *,
    candidates: int,
    per_signer: int,
    keep: float,
    at_most: int,
    seed: int,
) -> Iterator[AveragedSign]:
    """The prototypes of the wanted glosses.

    candidates: clips per gloss that may be averaged, at most per_signer of each signer, more where a gloss has few
    signers; keep: share of them that is averaged, at_most clips.
    """
    for number, (gloss, of_gloss) in enumerate(recordings.items()):
        if gloss not in wanted:
            continue
        rng = np.random.default_rng([seed, number])
        order = choose_clips([r.signer for r in of_gloss], len(of_gloss), len(of_gloss), rng)
        clips = body_clips((of_gloss[i] for i in order), float(body[NOSE, 1]))
        if hands := CITATION_HANDS.get(gloss):
            clips = [clip for clip in clips if hands_used(clip) == hands]
        # A gloss of few signers may take more of each, so that there is something to average.
        most = max(per_signer, -(-24 // max(len({c.signer for c in clips}), 1)))
        picks = choose_clips([c.signer for c in clips], candidates, most, rng)
        yield build_gloss(gloss, [clips[i] for i in picks], keep, at_most)
