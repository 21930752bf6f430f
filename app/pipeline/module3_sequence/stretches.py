"""A second reading of a lattice: a decoded sign is decided by all of its stretch, not by the steps of its peak.

CTC says a sign in one or two steps, and of a person it has never seen those are often wrong where the rest of the sign
is right. So the sign between the middles of the ways to its neighbours is read as a whole: the mean of the
log-probabilities over the stretch, the blank left out, weighs the more against the peak the longer the stretch is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.steps import BLANK

#: Steps whose most probable sign is less probable than this say nothing: no hand was in sight.
_SILENT = -40.0


def stretch_bounds(tokens: Sequence[DecodedToken], steps: int, first_step: int = 0) -> list[tuple[int, int]]:
    """Rows [start, end) of each token's stretch: to the middle between neighbours, the outer ones to the ends."""
    middles = [(a.end_step + b.start_step) // 2 - first_step for a, b in itertools.pairwise(tokens)]
    edges = [0, *middles, steps]
    return [
        (min(low, t.start_step - first_step), max(high, t.end_step - first_step))
        for t, low, high in zip(tokens, edges, edges[1:], strict=False)
    ]


def stretch_evidence(
    token: DecodedToken, bounds: tuple[int, int], lattice: NDArray[np.floating], weight: float, first_step: int = 0
) -> NDArray[np.float64]:
    """(V,) log-probabilities of the signs, given that one was signed; that of the blank is -inf.

    lattice: (S, V) log-probabilities. bounds: rows of the stretch. weight: how much each step of the stretch beyond the
    first counts against the peak, >= 0; 0 leaves the peak alone.
    """
    peak = lattice[token.start_step - first_step : token.end_step - first_step, 1:].astype(np.float64)
    rows = lattice[slice(*bounds), 1:].astype(np.float64)
    rows = rows[rows.max(axis=1) > _SILENT]
    scores = _normal(_normal(peak).mean(axis=0))
    if len(rows):
        share = 1 - 1 / (1 + weight * (len(rows) - 1))
        scores = _normal(share * _normal(rows.mean(axis=0)) + (1 - share) * scores)
    return np.concatenate([[-np.inf], scores])


def reread(
    tokens: Sequence[DecodedToken],
    lattice: NDArray[np.floating],
    weight: float,
    temperature: float = 1.0,
    first_step: int = 0,
) -> list[tuple[DecodedToken, float]]:
    """Tokens of a lattice (S, V) with the sign that their stretch says, and its probability among the signs at this
    temperature. Rows behind the last token belong to its stretch, so it may change until a token follows."""
    out = []
    for token, bounds in zip(tokens, stretch_bounds(tokens, len(lattice), first_step), strict=True):
        scores = stretch_evidence(token, bounds, lattice, weight, first_step)
        label = int(scores.argmax())
        confidence = np.exp(_normal(scores[1:] / temperature))[label - 1]
        out.append((replace(token, label=label), float(confidence)))
    return out


def second_look(lattice: NDArray[np.floating], bias: float, first_step: int = 0) -> tuple[DecodedToken, ...]:
    """What to read where nothing was decoded in a whole lattice (S, V): nothing, or one token at the step where the
    blank stands out least, if there it is at most `bias` more probable (in log units) than the best sign."""
    if not len(lattice):
        return ()
    best = lattice[:, 1:].max(axis=1)
    step = int((best - lattice[:, BLANK]).argmax())
    if best[step] <= lattice[step, BLANK] - bias or best[step] <= _SILENT:
        return ()
    label = 1 + int(lattice[step, 1:].argmax())
    return (DecodedToken(label, first_step + step, first_step + step + 1),)


def _normal(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (..., n) -> log-probabilities over the last axis."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
