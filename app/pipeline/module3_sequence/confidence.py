"""How sure the recogniser is of a decoded sign: evidence from the lattice, one fitted temperature, and its check.

The rule: the evidence for a token is the mean of its lattice rows, and its confidence is

    softmax(evidence / temperature)[label].

The temperature is fitted on dev tokens (Guo et al. 2017, arXiv:1706.04599): evidence of every decoded token, with the
label that was really signed there, or blank where nothing was (an insertion). Temperature never changes which label
wins, only its confidence. It is stored in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken, checked_log_probs

TEMPERATURE_RANGE = (0.05, 20.0)
#: Lower bound of log-probabilities before pooling: one impossible step must not outweigh all the others.
_FLOOR = -50.0


def token_evidence(log_probs: ArrayLike, token: DecodedToken, first_step: int = 0) -> NDArray[np.float64]:
    """(V,) logits of one decoded token.

    log_probs: (S, V) lattice rows, the first of them being step `first_step` in the token's own counting.
    Raises ValueError where the token's steps are not among the rows.
    """
    rows = checked_log_probs(log_probs)
    start, end = token.start_step - first_step, token.end_step - first_step
    if not 0 <= start < end <= len(rows):
        raise ValueError(
            f"the token's steps {token.start_step}..{token.end_step} are not among the "
            f"{len(rows)} rows from step {first_step}"
        )
    return np.maximum(rows[start:end].astype(np.float64), _FLOOR).mean(axis=0)


def token_confidence(log_probs: ArrayLike, token: DecodedToken, temperature: float = 1.0, first_step: int = 0) -> float:
    """Confidence 0..1 of one decoded token by the rule above; arguments as for `token_evidence`, temperature > 0."""
    return confidence(token_evidence(log_probs, token, first_step), token.label, temperature)


def confidence(evidence: NDArray[np.float64], label: int, temperature: float) -> float:
    """softmax(evidence / temperature)[label], 0..1. Raises ValueError for a temperature that is not positive."""
    if not temperature > 0:
        raise ValueError(f"a temperature is positive, got {temperature}")
    scaled = evidence / temperature
    return float(np.exp(scaled[label] - np.logaddexp.reduce(scaled)))


def negative_log_likelihood(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> float:
    """Mean of -log softmax(logits / temperature)[label]; logits (N, V) finite, labels (N,) in 0..V-1."""
    scaled = logits / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]))


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature with the lowest negative log-likelihood, within `TEMPERATURE_RANGE`.

    logits: (N, V), N >= 1, finite; log-probabilities serve, because the softmax ignores a constant offset.
    labels: (N,) what is true, 0..V-1.
    The likelihood is convex in 1 / T, hence has one minimum along log T too, which golden-section search finds.
    """
    low, high = map(math.log, TEMPERATURE_RANGE)
    return math.exp(_golden_section(lambda x: negative_log_likelihood(logits, labels, math.exp(x)), low, high))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers with a confidence in (low, high]; the first bin includes 0."""

    low: float
    high: float
    count: int
    """Number of answers."""
    confidence: float
    """Mean confidence; NaN if count is 0."""
    accuracy: float
    """Fraction of correct answers; NaN if count is 0."""


def reliability_table(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[ReliabilityBin]:
    """Confidence against accuracy in `bins` >= 1 bins of equal width; confidence (N,) in 0..1, correct (N,) of truth
    values."""
    conf, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, conf, side="left") - 1, 0, bins - 1)
    table = []
    for i in range(bins):
        inside = place == i
        count = int(inside.sum())
        means = (float(conf[inside].mean()), float(right[inside].mean())) if count else (math.nan, math.nan)
        table.append(ReliabilityBin(float(edges[i]), float(edges[i + 1]), count, *means))
    return table


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Mean distance 0..1 between confidence and accuracy, bins weighted by count (Naeini et al. 2015).

    Arguments as for `reliability_table`, at least one answer.
    """
    filled = [row for row in reliability_table(confidence, correct, bins) if row.count]
    return sum(row.count * abs(row.confidence - row.accuracy) for row in filled) / sum(row.count for row in filled)


def _golden_section(function: Callable[[float], float], low: float, high: float) -> float:
    """Minimum of a function with one valley between `low` and `high` (Kiefer 1953), to 1e-6."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-6:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
