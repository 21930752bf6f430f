"""Prototypes of glosses with few recordings: the densest neighbourhoods of clips, each averaged, best first.

A gloss may hold several forms of a sign; an average across forms is none of them. So a clip is averaged only with those
that are about as near to it as its nearest ones, and there are several neighbourhoods to choose from.
"""

from __future__ import annotations

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
    if len(clips) < LEAST or len({c.signer for c in clips}) < 2:
        return
    short = [resampled(c, FRAMES) for c in clips]
    distances = pairwise_distances(np.stack([features(c) for c in short]), BAND)
    made: set[tuple[int, ...]] = set()
    for most in (MOST, LEAST):
        for middle in np.argsort(density(distances, [c.signer for c in clips])):
            group, turned = neighbourhood(int(middle), short, most)
            if tuple(sorted(group)) in made or len({clips[i].signer for i in group}) < 2:
                continue
            made.add(tuple(sorted(group)))
            seen = [features(c) for c in turned]
            aligned = barycentre(seen, seen[0], iterations=8, band=BAND, tolerance=1e-3)
            seconds = float(np.clip(np.median([len(clips[i].body) for i in group]) / FPS, SHORTEST_S, LONGEST_S))
            yield average_group(gloss, turned, aligned, seconds, elbows)


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
