"""Prototypes of glosses with few recordings: the densest neighbourhoods of clips, each averaged, best first.

A gloss may hold several forms of a sign; an average across forms is none of them. So a clip is averaged only with those
that are about as near to it as its nearest ones, and there are several neighbourhoods to choose from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.signer.making.arms import Elbows
from app.signer.making.barycentre import accumulate, barycentre, frame_costs, pairwise_distances
from app.signer.making.build import FRAMES, AveragedSign, average_group
from app.signer.making.clips import BAND, BodyClip, features, resampled
from app.signer.performance import FPS

Float = NDArray[np.float64]

#: Members are at most this much further from the middle than the second nearest clip of another signer.
NEAR = 1.4
LEAST, MOST = 3, 10
SHORTEST_S, LONGEST_S = 0.8, 1.9


def candidates(gloss: str, clips: Sequence[BodyClip], elbows: Elbows) -> Iterator[AveragedSign]:
    """Averages of different neighbourhoods, the densest first; made as they are asked for.

    clips: right-handed as far as a single clip shows, 25 frames a second. None where there are fewer than three clips
    of two signers.
    """
    form = next((f for f in (most_common_form(clips), list(clips)) if enough(f)), [])
    if not form:
        return
    short = [resampled(c, FRAMES) for c in form]
    signers = [c.signer for c in form]
    distances = pairwise_distances(np.stack([features(c) for c in short]), BAND)
    order = [int(i) for i in np.argsort(density(distances, signers))]
    made: set[tuple[int, ...]] = set()
    for most, middle in itertools.product((MOST, LEAST), order):
        group, turned = neighbourhood(middle, short, most)
        members = tuple(sorted(group))
        if members in made or not enough(turned):
            continue
        made.add(members)
        seen = [features(c) for c in turned]
        aligned = barycentre(seen, seen[0], iterations=8, band=BAND, tolerance=1e-3)
        seconds = float(np.clip(np.median([len(form[i].body) for i in group]) / FPS, SHORTEST_S, LONGEST_S))
        yield average_group(gloss, turned, aligned, seconds, elbows)


def enough(clips: Sequence[BodyClip]) -> bool:
    """Whether their average is a recording of none of them: three clips of two signers."""
    return len(clips) >= LEAST and len({c.signer for c in clips}) >= 2


def most_common_form(clips: Sequence[BodyClip]) -> list[BodyClip]:
    """The clips with one hand or those with two, whichever are more; with two where they are equally many.

    A hand that lies at the other one is often lost, so that a clip with one hand is near to those with two.
    """
    two = [bool(np.isfinite(c.shapes[:, 0, 0, 0]).any()) for c in clips]
    wanted = 2 * sum(two) >= len(two)
    return [c for c, has_two in zip(clips, two, strict=True) if has_two == wanted]


def density(distances: Float, signers: Sequence[str]) -> Float:
    """Mean distance of each clip to the nearest clips of the two nearest other signers: (C, C) -> (C,)."""
    who = np.array(signers)
    out = np.zeros(len(who))
    for i in range(len(who)):
        nearest = sorted(distances[i, who == other].min() for other in set(signers) - {signers[i]})
        out[i] = np.mean(nearest[:2]) if nearest else np.inf
    return out


def neighbourhood(middle: int, clips: Sequence[BodyClip], most: int) -> tuple[list[int], list[BodyClip]]:
    """The clips that do the sign as the middle one does: their numbers, the middle first, and these clips, turned."""
    target = features(clips[middle])
    turned = [c.mirrored() for c in clips]
    away, flipped = (
        accumulate(np.stack([frame_costs(target, features(c)) for c in side]), BAND)[:, -1, -1]
        for side in (clips, turned)
    )
    flip = flipped < 0.8 * away
    away = np.where(flip, flipped, away)
    away[middle], flip[middle] = -1.0, False
    order = np.argsort(away)
    others = sorted(away[[i for i in range(len(clips)) if clips[i].signer != clips[middle].signer]])
    limit = NEAR * others[min(1, len(others) - 1)]
    group = [int(i) for n, i in enumerate(order) if n < LEAST or (n < most and away[i] <= limit)]
    return group, [turned[i] if flip[i] else clips[i] for i in group]
