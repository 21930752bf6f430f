"""Weights with which a checkpoint finds the times of signs: fitted where it is known which frames belong to a sign."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.sign_times import REACH, Evidence, TimeWeights, neighbours, peak_end, peak_start
from app.pipeline.module3_sequence.steps import label_ids
from app.pipeline.recogniser import STEP_S, GlossSegment, Recogniser
from app.training.evaluation.times import read_right

#: Weight of the sum of squares of the weights.
_RIDGE = 1e-4


@dataclass(frozen=True)
class TimedExample:
    """A clip that was read, and where its signs are."""

    evidence: Evidence
    """Its lattice and hands."""
    tokens: tuple[DecodedToken, ...]
    """The signs that were read, at their peaks."""
    stretches: tuple[tuple[int, int] | None, ...]
    """For each, first frame and one past the last; None where it was not read right."""


def example(
    recogniser: Recogniser,
    lattice: NDArray[np.float32],
    movement: NDArray[np.float32],
    signed: Sequence[str],
    frames: Sequence[tuple[int, int]],
) -> TimedExample:
    """A clip whose glosses `signed` are signed in these frames, as the recogniser reads it."""
    label = label_ids(recogniser.vocabulary)
    peaks: tuple[GlossSegment, ...] = recogniser.read(lattice, recogniser.new_decoder())
    places = {j: i for i, j in read_right(signed, [p.gloss for p in peaks])}
    return TimedExample(
        Evidence(lattice, movement),
        tuple(DecodedToken(label[p.gloss], round(p.start_s / STEP_S), round(p.end_s / STEP_S)) for p in peaks),
        tuple(frames[places[j]] if j in places else None for j in range(len(peaks))),
    )


class _Rows:
    """Evidence of frames, and what they belong to; long stretches count less than in proportion to their frames."""

    def __init__(self) -> None:
        self.evidence: list[list[NDArray[np.float64]]] = []
        self.answers: list[NDArray[np.int64]] = []

    def add(self, answers: NDArray[np.int64], *evidence: NDArray[np.float64]) -> None:
        self.answers.append(answers)
        self.evidence.append(list(evidence))

    def fitted(self) -> list[tuple[float, ...]]:
        """Weights for each kind of evidence: answer k is the k-th, the last answer none of them."""
        kinds = [torch.from_numpy(np.concatenate(kind)) for kind in zip(*self.evidence, strict=True)]
        answers = torch.from_numpy(np.concatenate(self.answers))
        counts = torch.from_numpy(np.concatenate([np.full(len(a), len(a) ** -0.5) for a in self.answers]))
        weights = [torch.zeros(kind.shape[1], dtype=torch.float64, requires_grad=True) for kind in kinds]
        optimiser = torch.optim.LBFGS(weights, max_iter=300, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            scores = [kind @ own for kind, own in zip(kinds, weights, strict=True)]
            table = torch.stack([*scores, torch.zeros_like(scores[0])], dim=1)
            wrong = functional.cross_entropy(table, answers, reduction="none")
            value = (wrong * counts).sum() / counts.sum() + _RIDGE * sum((own**2).sum() for own in weights)
            value.backward()
            return value

        optimiser.step(loss)
        return [tuple(round(x, 3) for x in own.tolist()) for own in weights]


def fit(examples: Iterable[TimedExample]) -> TimeWeights:
    """Logistic regression frame by frame. Raises ValueError where signs have no neighbours or no ends to learn from."""
    between, first, last = _Rows(), _Rows(), _Rows()
    for clip in examples:
        signs = [None, *zip(clip.tokens, clip.stretches, strict=True), None]
        for one, other in itertools.pairwise(signs):
            if one and other and neighbours(one[0], other[0]):
                if one[1] and other[1]:
                    frames = np.arange(peak_end(one[0]), peak_start(other[0]))
                    inside = [(a <= frames) & (frames < b) for a, b in (one[1], other[1])]
                    answers = np.where(inside[0], 0, np.where(inside[1], 1, 2))
                    between.add(answers, *clip.evidence.between(one[0], other[0]))
                continue
            if one and one[1]:
                begin = peak_end(one[0])
                until = clip.evidence.end if other is None else peak_start(other[0])
                end = clip.evidence.seen_until(begin, max(begin, min(until, begin + REACH)))
                if end > begin:
                    outside = np.arange(begin, end) >= one[1][1]
                    last.add(outside.astype(np.int64), clip.evidence.outside(one[0], begin, end))
            if other and other[1]:
                end = peak_start(other[0])
                begin = max(end - REACH, 0 if one is None else peak_end(one[0]))
                outside = np.arange(begin, end) < other[1][0]
                first.add(outside.astype(np.int64), clip.evidence.outside(other[0], begin, end))
    if not (between.answers and first.answers and last.answers):
        raise ValueError("no phrase of several signs was read right, so there is nothing to learn their times from")
    after, before = between.fitted()
    return TimeWeights(after, before, *first.fitted(), *last.fitted())
