"""Examples read by a recogniser, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.evaluation.answers import figures
from app.training.evaluation.wer import corpus_errors


@dataclass(frozen=True, slots=True)
class Example:
    """One clip as module 1 hands it on, and what is signed in it."""

    features: NDArray[np.float32]
    """(T, F) as `normalise` makes them."""
    glosses: tuple[str, ...]
    signer: str


def lattices(recogniser: Recogniser, examples: Sequence[Example], batch_size: int = 64) -> list[NDArray[np.float32]]:
    """Log-probabilities (S, 1 + vocabulary) of each example, in order; clips of like length share a pass."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].features))
    out: list[NDArray[np.float32]] = [np.zeros((0, 1), np.float32)] * len(examples)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        for i, (lattice, _) in zip(rows, recogniser.lattices([examples[i].features for i in rows]), strict=True):
            out[i] = lattice
    return out


def read(recogniser: Recogniser, examples: Sequence[Example]) -> list[tuple[GlossSegment, ...]]:
    """What the recogniser reads from each example, in order."""
    return [recogniser.read(lattice, recogniser.new_decoder()) for lattice in lattices(recogniser, examples)]


#: How examples are answered; several processes share the work by another one than `read`.
Reader = Callable[[Recogniser, Sequence[Example]], list[tuple[GlossSegment, ...]]]


def word_errors(examples: Sequence[Example], read: Sequence[Sequence[GlossSegment]]) -> dict[str, float]:
    """WER with substitutions, deletions, insertions and the number of signs, for answers in the examples' order."""
    said = [[sign.gloss for sign in answer] for answer in read]
    return figures(corpus_errors((e.glosses, glosses) for e, glosses in zip(examples, said, strict=True)))
