"""The clips of a bank as the maker of the prototype signer reads them: single signs, hands only, right-handed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from app.signer.making.clips import BODY, LOWERED_Y, REST_WRIST, BodyClip, fill_gaps, hand_sizes
from app.signer.making.hands import PALM
from app.signer.performance import smoothed
from app.training.corpora.glosses.bank import LEFT, RIGHT, SHOULDERS, Bank
from app.training.corpora.glosses.strokes import find_strokes

Float = NDArray[np.float64]

#: Frames kept before and after the stroke: the way into the sign belongs to it.
_MARGIN = 2
#: A hand that the landmark model lost for up to so many frames (half a second) was there all along.
_LOST = 12
_SHORTEST = 8
#: The left wrist is so far to the right of the right one only where the two were confused (shoulder widths).
_CROSSED = -0.45


def single_signs(bank: Bank, glosses: Collection[str], nose_y: float) -> dict[str, list[BodyClip]]:
    """Gloss -> its training clips of the corpus `wlasl`, right-handed, cut to the stroke.

    nose_y: height of the figure's nose above its shoulders; what happens above them is stretched to it.
    """
    strokes = find_strokes(bank)
    clips: dict[str, list[BodyClip]] = defaultdict(list)
    of_train = bank.of("wlasl", "train")
    left_handers = left_handed_signers((bank.clips[i].signer, strokes.takes_part[i]) for i in of_train)
    for i in of_train:
        if bank.clips[i].gloss not in glosses:
            continue
        first = max(strokes.stroke[i, 0] - _MARGIN, strokes.active[i, 0])
        last = min(strokes.stroke[i, 1] + _MARGIN, strokes.active[i, 1])
        signer, part = bank.clips[i].signer, strokes.takes_part[i]
        found = _clip(bank, slice(int(first), int(last)), signer, part, signer in left_handers, nose_y)
        if found is not None:
            clips[bank.clips[i].gloss].append(found)
    return dict(clips)


def unswapped(hands: Float, both: NDArray[np.bool_]) -> Float:
    """Hands whose sides the landmark model confused, changed back: (T, 2, 21, 2), are both there (T,) -> (T, 2, 21, 2).

    Wrists that pass each other by half a shoulder width do not belong to arms that cross.
    """
    apart = hands[:, 0, 0, 0] - hands[:, 1, 0, 0]
    crossed = both & (apart < 0)
    run = np.cumsum(np.diff(crossed, prepend=False))
    wrong = [number for number in np.unique(run[crossed]) if apart[crossed & (run == number)].min() < _CROSSED]
    swap = crossed & np.isin(run, wrong)
    return np.where(swap[:, None, None, None], hands[:, ::-1], hands)


def left_handed_signers(clips: Iterable[tuple[str, NDArray[np.bool_]]]) -> frozenset[str]:
    """Signers who do most one-handed signs with the left hand. clips: signer, and whether each hand takes part (2,)."""
    with_left: dict[str, list[bool]] = defaultdict(list)
    for signer, part in clips:
        if part[0] != part[1]:
            with_left[signer].append(bool(part[0]))
    return frozenset(signer for signer, left in with_left.items() if np.mean(left) > 0.5)


def _kept_in_place(shapes: Float, sizes: Float) -> Float:
    """How to move the wrists when the figure's hands, which are larger, take the place of these: (T, 2, 2).

    The fingers stay where they were, so that a hand at the chin, or at the other hand, stays there.
    """
    move = np.zeros((len(shapes), 2, 2))
    middles = shapes[:, :, 5:].mean(axis=2)
    for side, axis in np.ndindex(2, 2):
        known = np.flatnonzero(np.isfinite(middles[:, side, axis]))
        if len(known):
            way = np.interp(np.arange(len(shapes)), known, middles[known, side, axis])
            move[:, side, axis] = (sizes[side] - PALM) * smoothed(way, 1.0)
    return move


def _clip(
    bank: Bank, frames: slice, signer: str, takes_part: NDArray[np.bool_], left_handed: bool, nose_y: float
) -> BodyClip | None:
    points, there = bank.points[frames].astype(np.float64), bank.there[frames]
    still = np.median(points[:, : SHOULDERS.stop], axis=0)
    if len(points) < _SHORTEST or not -1.4 < still[0, 1] < -0.3:
        return None
    points[..., 1] *= np.where(points[..., 1] < 0, nose_y / still[0, 1], 1.0)
    hands = np.stack([points[:, LEFT], points[:, RIGHT]], axis=1)
    hands = unswapped(hands, there[:, 1:].all(axis=1))
    wrists = np.stack([REST_WRIST, REST_WRIST * [-1, 1]])[None].repeat(len(points), axis=0)
    for side in range(2):
        seen = there[:, 1 + side]
        hands[~seen, side] = np.nan
        if not takes_part[side] or np.median(hands[seen, side, 0, 1]) > LOWERED_Y:
            hands[:, side] = np.nan
            continue
        hands[:, side] = fill_gaps(hands[:, side], _LOST)
        known = np.flatnonzero(np.isfinite(hands[:, side, 0, 0]))
        for axis in range(2):
            wrists[:, side, axis] = np.interp(np.arange(len(points)), known, hands[known, side, 0, axis])
    if not np.isfinite(hands[..., 0, 0]).any():
        return None
    sizes = hand_sizes(hands)
    shapes = (hands - hands[:, :, :1]) / sizes[None, :, None, None]
    wrists += _kept_in_place(shapes, sizes)
    body = np.full((len(points), BODY, 2), np.nan)
    body[:, 0], body[:, 11], body[:, 12] = still[0] * [1, nose_y / still[0, 1]], [0.5, 0], [-0.5, 0]
    clip = BodyClip(signer, body, wrists, shapes, sizes)
    used = np.isfinite(shapes[:, :, 0, 0]).any(axis=0)
    left = left_handed if used.all() else used[0]
    return clip.mirrored() if left else clip
