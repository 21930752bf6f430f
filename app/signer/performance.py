"""A performance of the prototype signer as channels that can be blended, and the blending: rest, signs, phrases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

FPS = 25
#: Parent of every hand point; a bone is a point minus its parent.
PARENTS = (0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
#: Where elbows and wrists of hanging arms are: left, right; shoulder widths from the shoulder midpoint, y down.
REST_ELBOWS = np.array([[0.66, 0.88], [-0.66, 0.88]])
REST_WRISTS = np.array([[0.62, 1.72], [-0.62, 1.72]])
#: A wrist moves at most this fast on average between two signs (shoulder widths a second), within the limits below.
TRAVEL_SPEED = 5.5
SHORTEST_TRAVEL_S, LONGEST_TRAVEL_S = 0.28, 0.44
#: No point of a hand moves faster in a performance that is staged (shoulder widths a second); people sign below that.
FASTEST = 12.5
#: Seconds that a word without a sign is shown.
PAUSE_S = 0.6


@dataclass(frozen=True, slots=True)
class Performance:
    """What the signer does at 25 fps, in shoulder widths from the shoulder midpoint, y down; 0 = left, 1 = right."""

    nose: Float
    """(T, 2) offset from the middle of the face."""
    elbows: Float
    """(T, 2, 2)"""
    wrists: Float
    """(T, 2, 2)"""
    hands: Float
    """(T, 2, 21, 2) relative to the wrist."""
    raised: Float
    """(T, 2) weight of the sign in the hand's position, 0..1; the rest pose has the other part."""

    def __len__(self) -> int:
        return len(self.nose)

    def frame(self, index: int) -> Performance:
        """One frame, as a performance of one frame."""
        at = index % len(self)
        return Performance(*(channel[at : at + 1] for channel in self._channels()))

    def _channels(self) -> tuple[Float, ...]:
        return self.nose, self.elbows, self.wrists, self.hands, self.raised


def joined(parts: Sequence[Performance]) -> Performance:
    """One after the other, without a transition."""
    return Performance(*(np.concatenate(c) for c in zip(*(p._channels() for p in parts), strict=True)))


def resting(hands: Float) -> Performance:
    """One frame of standing still, arms down, with hands (2, 21, 2) of this shape turned to hang."""
    hanging = np.stack([_turned_down(hand) for hand in hands])
    return Performance(
        np.zeros((1, 2)), REST_ELBOWS[None].copy(), REST_WRISTS[None].copy(), hanging[None], np.zeros((1, 2))
    )


def _turned_down(hand: Float) -> Float:
    """The hand (21, 2) turned so that its middle knuckle lies straight below the wrist."""
    z = hand[:, 0] + 1j * hand[:, 1]
    z = z * np.exp(1j * (np.pi / 2 - np.angle(z[9])))
    return np.stack([z.real, z.imag], axis=-1)


def pause(pose: Performance, seconds: float = PAUSE_S) -> Performance:
    """One frame, held."""
    return joined([pose] * round(seconds * FPS))


def smoothed(values: Float, sigma: float) -> Float:
    """Gaussian smoothing over time (T, ...), the ends held; sigma in frames."""
    reach = max(int(4 * sigma + 0.5), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.concatenate([np.repeat(values[:1], reach, axis=0), values, np.repeat(values[-1:], reach, axis=0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return windows @ (kernel / kernel.sum())


def smooth_step(count: int) -> Float:
    """Minimum-jerk way from 0 to 1 at `count` frames strictly between the two (Flash and Hogan 1985)."""
    t = np.arange(1, count + 1) / (count + 1)
    return 10 * t**3 - 15 * t**4 + 6 * t**5


def bridge(before: Performance, after: Performance) -> Performance:
    """The frames between the last frame of one part and the first of the next, as long as the hands have to travel."""
    a, b = before.frame(-1), after.frame(0)
    way = float(np.linalg.norm(b.wrists - a.wrists, axis=-1).max())
    seconds = np.clip(way / TRAVEL_SPEED, SHORTEST_TRAVEL_S, LONGEST_TRAVEL_S)
    share = smooth_step(max(round(float(seconds) * FPS) - 1, 1))

    nose, elbows, wrists, _, raised = (mixed(x, y, share) for x, y in zip(a._channels(), b._channels(), strict=True))
    return Performance(nose, elbows, wrists, blended_hands(a.hands[0], b.hands[0], share), raised)


def mixed(first: Float, second: Float, share: Float) -> Float:
    """Between two sequences (T or 1, ...), by the share (T,) of the second at each frame: (T, ...)."""
    w = share.reshape(-1, *[1] * (first.ndim - 1))
    return (1 - w) * first + w * second


def blended_hands(first: Float, second: Float, share: Float) -> Float:
    """From one pair of hands to another, bone by bone: (2, 21, 2), (2, 21, 2), (T,) -> (T, 2, 21, 2).

    The hand turns as a whole by the shorter way, and each bone turns with it and changes its length evenly, so that
    fingers do not shrink on the way as they would between mixed coordinates.
    """
    out = np.zeros((len(share), 2, 21), complex)
    for side in range(2):
        a, b = (hand[side, :, 0] + 1j * hand[side, :, 1] for hand in (first, second))
        bones_a, bones_b = a - a[list(PARENTS)], b - b[list(PARENTS)]
        turn = np.angle(b[9] / a[9]) if abs(a[9]) > 0 and abs(b[9]) > 0 else 0.0
        own = np.angle(np.where(np.abs(bones_a) > 0, bones_b * np.conj(bones_a), 1) * np.exp(-1j * turn))
        length = np.outer(1 - share, np.abs(bones_a)) + np.outer(share, np.abs(bones_b))
        bones = length * np.exp(1j * (np.angle(bones_a)[None] + np.outer(share, turn + own)))
        for point in range(1, 21):
            out[:, side, point] = out[:, side, PARENTS[point]] + bones[:, point]
    return np.stack([out.real, out.imag], axis=-1)


def performed(parts: Sequence[Performance]) -> Performance:
    """Signs one after the other with natural transitions, from rest to rest. Raises ValueError without signs."""
    return performed_with_spans(parts)[0]


def performed_with_spans(parts: Sequence[Performance]) -> tuple[Performance, list[tuple[int, int]]]:
    """As `performed`; and of each part its first frame and the one after its last."""
    if not parts:
        raise ValueError("nothing to perform: give at least one sign")
    start, end = resting(parts[0].hands[0]), resting(parts[-1].hands[-1])
    pieces, spans, frames = [start], list[tuple[int, int]](), 2  # the first frame of all is held
    for before, part in itertools.pairwise([start, *parts, end]):
        way = bridge(before, part)
        pieces += [way, part]
        spans.append((frames + len(way), frames + len(way) + len(part)))
        frames = spans[-1][1]
    return joined([start, *pieces, end]), spans[:-1]


def slowed(performance: Performance, spans: Sequence[tuple[int, int]]) -> tuple[Performance, list[tuple[int, int]]]:
    """The same with further frames where a hand would jump (see FASTEST), as averages of several people may at places;
    with its spans of frames, each moved along."""
    tips = performance.wrists[:, :, None] + performance.hands
    steps = np.linalg.norm(np.diff(tips, axis=0), axis=-1).max(axis=(1, 2), initial=0.0) * FPS / FASTEST
    counts = np.where(steps > 1, np.ceil(steps), 1).astype(int)
    pieces = [performance.frame(0)]
    for at, count in enumerate(counts):
        here, there = performance.frame(at), performance.frame(at + 1)
        if count > 1:
            share = np.arange(1, count) / count
            hands = blended_hands(here.hands[0], there.hands[0], share)
            nose, elbows, wrists, _, raised = (
                mixed(a, b, share) for a, b in zip(here._channels(), there._channels(), strict=True)
            )
            pieces.append(Performance(nose, elbows, wrists, hands, raised))
        pieces.append(there)
    moved = np.concatenate([[0], np.cumsum(counts)])
    slower, spans = joined(pieces), [(int(moved[first]), int(moved[end - 1]) + 1) for first, end in spans]
    # A hand that turns takes a longer way than that from point to point, so once may not be enough.
    return slowed(slower, spans) if counts.max(initial=1) > 1 else (slower, spans)
