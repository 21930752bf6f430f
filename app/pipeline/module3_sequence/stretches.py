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
from app.pipeline.module3_sequence.neighbours import SignContext, begins, chosen_together
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


class KnownEvidence:
    """`stretch_evidence` of the stretches of a sentence that lie in final rows: a stream computes each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[DecodedToken, int, int], NDArray[np.float64]] = {}

    def of(
        self, tokens: Sequence[DecodedToken], lattice: NDArray[np.floating], weight: float, first_step: int, final: int
    ) -> list[NDArray[np.float64]]:
        """The evidence of each token in a lattice (S, V) whose first row is step `first_step`; its first `final` rows
        are final."""
        before, self._known = self._known, {}
        out = []
        for token, (low, high) in zip(tokens, stretch_bounds(tokens, len(lattice), first_step), strict=True):
            key = token, first_step + low, first_step + high
            scores = before.get(key) if high <= final else None
            if scores is None:
                scores = stretch_evidence(token, (low, high), lattice, weight, first_step)
            if high <= final:
                self._known[key] = scores
            out.append(scores)
        return out


def reread(
    tokens: Sequence[DecodedToken],
    lattice: NDArray[np.floating],
    weight: float,
    temperature: float = 1.0,
    first_step: int = 0,
    around: SignContext | None = None,
    known: KnownEvidence | None = None,
) -> list[tuple[DecodedToken, float]]:
    """`decided` tokens of a lattice (S, V). Rows behind the last token belong to its stretch, so it may change until a
    token follows. known: of the same sentence, whose rows are all final now."""
    evidence = (known or KnownEvidence()).of(tokens, lattice, weight, first_step, len(lattice))
    return decided(tokens, evidence, temperature, around)[0]


def decided(
    tokens: Sequence[DecodedToken],
    evidence: Sequence[NDArray[np.float64]],
    temperature: float = 1.0,
    around: SignContext | None = None,
    committed: int = 0,
) -> tuple[list[tuple[DecodedToken, float]], int]:
    """Tokens with the sign that their evidence says, and its probability among the signs at this temperature; and how
    many of the first decisions no later token can change, given that the first `committed` tokens themselves are final:
    all of those but the last one, whose stretch goes on until another follows, less those that hang on what that one
    will be.

    around: a gloss language model, with which the signs are chosen together; the probability of a sign is then that
    after the signs before it.
    """
    labels, scores, settled = [int(row.argmax()) for row in evidence], list(evidence), max(committed - 1, 0)
    if around is not None and tokens:
        labels, scores, settled = chosen_together(evidence, begins(tokens), around, settled)
    readings = [
        (replace(token, label=label), float(np.exp(_normal(row[1:] / temperature))[label - 1]))
        for token, label, row in zip(tokens, labels, scores, strict=True)
    ]
    return readings, settled


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
