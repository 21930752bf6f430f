"""Signs of a sentence chosen together: what the hands show of each, and what a language model says of its neighbours.

A sequence of signs l_1 .. l_n scores

    sum_i  evidence_i[l_i]  +  weight * sum_{i > 1}  (log p(l_i | l_1 .. l_{i-1}) - log p(l_i)),

so the model says what the signs before tell about the next one, beyond how common it is: a sign alone is read from the
hands alone, and so is the first one of a sentence. A sign that is read again is the same sign with a repeated movement;
it neither gains nor loses. After a pause a new sentence begins.

The best sequence is found from left to right (Viterbi), so a stream knows at any time which of its first signs no later
sign can change.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.ngram import Context, NgramModel

#: Steps between two signs from which on they belong to different sentences (1.28 s; a stream ends one after 1.2 s).
PAUSE_STEPS = 8


@dataclass(frozen=True, slots=True)
class SignContext:
    """How much the neighbours of a sign count."""

    lm: NgramModel
    """Over the labels of the lattice."""
    weight: float
    """Of the language model against the evidence, > 0."""
    candidates: int = 8
    """Signs of a place that are considered, the most evident ones."""
    margin: float = 10.0
    """Log units of evidence, times the weight, by which a sign may be less evident than the best and still be
    considered: what neighbours hardly ever make up for. The less there is to consider, the sooner signs are settled."""

    def gain(self, context: Context, last: int | None, label: int) -> float:
        """What `label` scores besides its evidence, behind `context`, whose last label is `last`; None at the beginning
        of a sentence."""
        if last is None or label == last:
            return 0.0
        return self.weight * (self.lm.log_probs(context)[label] - self.lm.log_probs(())[label])

    def gains(self, context: Context, last: int | None) -> NDArray[np.float64]:
        """(V,) the same of every label."""
        if last is None:
            return np.zeros(self.lm.num_labels)
        gains = self.weight * (np.asarray(self.lm.log_probs(context)) - np.asarray(self.lm.log_probs(())))
        gains[last] = 0.0
        return gains

    def considered(self, row: NDArray[np.float64]) -> list[int]:
        """The labels of a place that may be chosen, given its evidence (V,), the most evident first."""
        near = np.flatnonzero(row >= row.max() - self.weight * self.margin)
        return [int(label) for label in near[np.argsort(-row[near], kind="stable")][: self.candidates]]


@dataclass(frozen=True, slots=True)
class _Path:
    """The best sequence with an ending."""

    score: float
    labels: tuple[int, ...]
    contexts: tuple[Context, ...]
    """What the language model knew before each label, and behind the last one."""


def begins(tokens: Sequence[DecodedToken]) -> list[bool]:
    """For each token whether a sentence begins with it: the first one, and those after a pause."""
    ends = [None, *(token.end_step for token in tokens)]
    return [end is None or t.start_step - end >= PAUSE_STEPS for t, end in zip(tokens, ends, strict=False)]


def chosen_together(
    evidence: Sequence[NDArray[np.float64]], fresh: Sequence[bool], around: SignContext, certain: int | None = None
) -> tuple[list[int], list[NDArray[np.float64]], int]:
    """The best labels; what every label of each place scores (V,), given the labels chosen before it; and how many of
    the first labels nothing behind the first `certain` places can change (by default, behind all of them).

    evidence: (V,) log-probabilities of the labels for each place, -inf for the blank, which is never chosen. fresh:
    whether a sentence begins there.
    """
    paths = [_Path(0.0, (), (around.lm.start(),))]
    settled = 0
    for place, (row, first) in enumerate(zip(evidence, fresh, strict=True), 1):
        if first:
            best_end = max(paths, key=lambda path: path.score)
            paths = [replace(best_end, contexts=(*best_end.contexts[:-1], around.lm.start()))]
        labels = around.considered(row)
        evident = [float(row[label]) for label in labels]
        best: dict[tuple[Context, int], _Path] = {}
        for path in paths:
            context, last = path.contexts[-1], None if first or not path.labels else path.labels[-1]
            for label, own in zip(labels, evident, strict=True):
                score = path.score + own + around.gain(context, last, label)
                behind = context if label == last else around.lm.advance(context, label)
                known = best.get((behind, label))
                if known is None or score > known.score:
                    best[behind, label] = _Path(score, (*path.labels, label), (*path.contexts, behind))
        paths = list(best.values())
        if place == (len(evidence) if certain is None else certain):
            settled = _common(paths)
    chosen = max(paths, key=lambda path: path.score)
    before = (None, *chosen.labels)
    scores = [
        row + around.gains(context, None if first else last)
        for row, first, context, last in zip(evidence, fresh, chosen.contexts, before, strict=False)
    ]
    return list(chosen.labels), scores, settled


def _common(paths: Sequence[_Path]) -> int:
    """How many of the first labels are the same in all of them."""
    places = zip(*(path.labels for path in paths), strict=True)
    return sum(1 for _ in itertools.takewhile(lambda labels: len(set(labels)) == 1, places))
