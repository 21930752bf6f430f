from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module3_sequence.confidence import (
    TEMPERATURE_RANGE,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_table,
    token_confidence,
    token_evidence,
)
from app.pipeline.module3_sequence.decoders import DecodedToken


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def drawn(seed: int, answers: int, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels drawn from softmax(logits / temperature): that temperature is the true one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(answers, 8)) * 4
    probabilities = np.exp(log_softmax(logits / temperature))
    return logits, (probabilities.cumsum(axis=1) > rng.random((answers, 1))).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_planted_temperature_is_found_and_calibrates(temperature: float) -> None:
    logits, labels = drawn(1, 20_000, temperature)
    fitted = fit_temperature(logits, labels)
    assert fitted == pytest.approx(temperature, rel=0.05)

    def error(t: float) -> float:
        probabilities = np.exp(log_softmax(logits / t))
        return expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)

    assert error(fitted) < 0.015
    if temperature != 1:
        assert error(1.0) > 3 * error(fitted)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.floats(0.2, 5))
def test_no_other_temperature_is_likelier(seed: int, answers: int, temperature: float) -> None:
    logits, labels = drawn(seed, answers, temperature)
    fitted = fit_temperature(logits, labels)
    least = negative_log_likelihood(logits, labels, fitted)
    for other in np.geomspace(*TEMPERATURE_RANGE, 40):
        assert least <= negative_log_likelihood(logits, labels, float(other)) + 1e-6


def test_likelihood_agrees_with_torch() -> None:
    logits, labels = drawn(3, 50, 1.0)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits / 1.7), torch.from_numpy(labels)).item()
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(expected, rel=1e-12)


def test_answers_that_are_always_right_end_at_the_edge() -> None:
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(TEMPERATURE_RANGE[0], rel=1e-3)


ROWS = np.log([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]])
TOKEN = DecodedToken(1, 1, 3)


def test_mean_pools_over_the_token_steps_only() -> None:
    geometric = np.sqrt([0.3 * 0.1, 0.6 * 0.8, 0.1 * 0.1])
    assert token_confidence(ROWS, TOKEN) == pytest.approx(geometric[1] / geometric.sum())
    cooled = geometric**0.5
    assert token_confidence(ROWS, TOKEN, temperature=2) == pytest.approx(cooled[1] / cooled.sum())


def test_rows_may_begin_anywhere() -> None:
    later = DecodedToken(1, 101, 103)
    assert token_confidence(ROWS, later, 1.3, first_step=100) == token_confidence(ROWS, TOKEN, 1.3)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20))
def test_confidence_is_a_probability_and_temperature_keeps_the_order(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    rows = log_softmax(rng.normal(size=(6, 5)) * 10)
    start = int(rng.integers(0, 6))
    tokens = [DecodedToken(label, start, int(rng.integers(start, 6)) + 1) for label in range(1, 5)]
    for token in tokens:
        assert 0 <= token_confidence(rows, token, temperature) <= 1
    same_steps = [DecodedToken(label, start, 6) for label in range(1, 5)]
    hot = [token_confidence(rows, token, temperature) for token in same_steps]
    cold = [token_confidence(rows, token, 1.0) for token in same_steps]
    assert max(hot) == hot[int(np.argmax(cold))]


def test_an_impossible_step_does_not_veto_the_rest() -> None:
    with np.errstate(divide="ignore"):
        rows = np.log([[1e-3, 0.999, 0.0], [1.0, 0.0, 0.0]])
    evidence = token_evidence(rows, DecodedToken(1, 0, 2))
    assert np.isfinite(evidence).all()
    assert 0 < token_confidence(rows, DecodedToken(1, 0, 2)) < 1e-5


@pytest.mark.parametrize(("start", "end", "first"), [(0, 5, 0), (-1, 2, 0), (2, 2, 0), (1, 3, 2)])
def test_a_token_outside_the_rows(start: int, end: int, first: int) -> None:
    with pytest.raises(ValueError, match="not among"):
        token_confidence(ROWS, DecodedToken(1, start, end), first_step=first)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_impossible_temperatures(temperature: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        token_confidence(ROWS, TOKEN, temperature)


class TestCalibrationError:
    def test_by_hand(self) -> None:
        # Bin (0.5, 1]: confidences 0.6, 1.0 (mean 0.8), one right: |0.8 - 0.5| = 0.3. Bin [0, 0.5]: 0.2, wrong: 0.2.
        confidence, correct = [0.6, 1.0, 0.2], [True, False, False]
        assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx((2 * 0.3 + 0.2) / 3)
        low, high = reliability_table(confidence, correct, bins=2)
        assert (low.low, low.high, low.count, low.confidence, low.accuracy) == (0, 0.5, 1, 0.2, 0)
        assert (high.low, high.high, high.count, high.confidence, high.accuracy) == (0.5, 1, 2, 0.8, 0.5)

    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
    def test_every_answer_is_in_the_one_bin_that_holds_it(self, answers: list[tuple[float, bool]], bins: int) -> None:
        confidence, correct = zip(*answers, strict=True)
        table = reliability_table(confidence, correct, bins)
        assert sum(row.count for row in table) == len(answers)
        for row in table:
            inside = [c for c in confidence if row.low < c <= row.high or (row.low == c == 0)]
            assert row.count == len(inside)
            assert math.isnan(row.accuracy) == (row.count == 0)
        assert 0 <= expected_calibration_error(confidence, correct, bins) <= 1

    def test_edges(self) -> None:
        assert expected_calibration_error([1.0, 1.0], [True, True]) == 0
        assert expected_calibration_error([1.0], [False]) == 1
        assert expected_calibration_error([0.0], [False]) == 0
