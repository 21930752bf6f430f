"""Steps of the lattice: how many frames they cover, which label is which, their log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Label of the CTC blank: column 0 of every lattice.
BLANK = 0
#: Frames of one lattice step: the convolutions divide time by this (0.16 s at 25 frames per second).
TIME_DIVISOR = 4


def label_ids(vocabulary: Sequence[str]) -> dict[str, int]:
    """The column of each gloss in a lattice: 1, 2, ..., behind the blank."""
    return {gloss: label for label, gloss in enumerate(vocabulary, 1)}


def steps_in(frames: int, divisor: int = TIME_DIVISOR) -> int:
    """Number of lattice steps of `divisor` frames that cover `frames`; the last one may be covered in part."""
    return -(-frames // divisor)


def whole_steps(frames: int) -> int:
    """The number of frames, raised to whole steps."""
    return steps_in(frames) * TIME_DIVISOR


def to_log_probs(logits: Tensor, blank_bias: float = 0.0) -> Tensor:
    """(..., V) logits or log-probabilities -> log-probabilities float32, `blank_bias` taken from the blank's first."""
    biased = logits.float()
    if blank_bias:
        biased = biased.clone()
        biased[..., BLANK] -= blank_bias
    return torch.log_softmax(biased, dim=-1)
