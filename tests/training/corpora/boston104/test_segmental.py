from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import InvalidLattice
from app.pipeline.module3_sequence.ngram import NgramModel
from app.training.corpora.boston104.segmental import SegmentConfig, SegmentDecoder, SignLengths
from tests.support.language import sentence_log_prob

Cut = tuple[tuple[int, int, int], ...]  # (label, start, end) of every sign
EVERYTHING = SegmentConfig(0.5, 0.7, 0.8, 0.4, 1.3, beam=100_000, longest=100)
LENGTHS = SignLengths(np.log([0.5, 0.3, 0.2]), np.log([1.0, 2.0, 1.5]), 0.6)
LM = NgramModel.fit([[1, 2], [2], [1, 1, 2]], ["A", "B"], order=3)


def lattice(seed: int, steps: int, width: int = 3) -> NDArray[np.float64]:
    raw = np.random.default_rng(seed).normal(0, 2, (steps, width))
    return np.asarray(raw - np.logaddexp.reduce(raw, axis=1, keepdims=True))


def cuts(steps: int, width: int, start: int = 0) -> Iterator[Cut]:
    """Every way to lay signs over the steps, gaps anywhere."""
    if start == steps:
        yield ()
        return
    yield from cuts(steps, width, start + 1)
    for end in range(start + 1, steps + 1):
        for label, rest in itertools.product(range(1, width), list(cuts(steps, width, end))):
            yield ((label, start, end), *rest)


def score(cut: Cut, table: NDArray[np.float64], config: SegmentConfig, lm: NgramModel | None) -> float:
    """The formula of the module, written out."""
    label = np.zeros(len(table), int)
    total = 0.0
    for sign, start, end in cut:
        label[start:end] = sign
        z = (math.log(end - start) - LENGTHS.mean[sign]) / LENGTHS.spread
        density = -0.5 * z * z - math.log(LENGTHS.spread * math.sqrt(2 * math.pi))
        total += config.duration_weight * density + config.length_bonus
    for step, symbol in enumerate(label):
        total += table[step, symbol] - config.prior_weight * LENGTHS.log_prior[symbol]
        total -= config.gap_bias * (symbol == 0)
    return total + (config.lm_weight * sentence_log_prob(lm, [s for s, _, _ in cut]) if lm else 0.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 5), with_lm=st.booleans())
def test_nothing_scores_higher_than_what_is_found(seed: int, steps: int, with_lm: bool) -> None:
    table, lm = lattice(seed, steps), LM if with_lm else None
    found = SegmentDecoder(LENGTHS, EVERYTHING, lm).decode(table)
    best = max(score(cut, table, EVERYTHING, lm) for cut in cuts(steps, 3))
    assert found.score == pytest.approx(best)
    told = tuple((t.label, t.start_step, t.end_step) for t in found.tokens)
    assert score(told, table, EVERYTHING, lm) == pytest.approx(best)


def test_a_narrow_beam_is_never_better_and_a_short_longest_is_kept() -> None:
    for seed in range(10):
        table = lattice(seed, 12)
        whole = SegmentDecoder(LENGTHS, EVERYTHING, LM).decode(table)
        narrow = SegmentDecoder(LENGTHS, replace(EVERYTHING, beam=2), LM).decode(table)
        assert narrow.score <= whole.score + 1e-9
        short = SegmentDecoder(LENGTHS, replace(EVERYTHING, longest=2), LM).decode(table)
        assert all(t.end_step - t.start_step <= 2 for t in short.tokens)


def test_two_signs_alike_side_by_side_stay_two_where_their_length_says_so() -> None:
    table = np.log(np.tile([[0.01, 0.98, 0.01]], (6, 1)))
    lengths = SignLengths(np.log([0.4, 0.3, 0.3]), np.log([3.0, 3.0, 3.0]), 0.1)
    found = SegmentDecoder(lengths, SegmentConfig(lm_weight=0.0)).decode(table)
    assert [(t.label, t.start_step, t.end_step) for t in found.tokens] == [(1, 0, 3), (1, 3, 6)]


def test_a_clip_without_steps_has_no_signs() -> None:
    assert SegmentDecoder(LENGTHS, EVERYTHING).decode(np.zeros((0, 3))).tokens == ()


def test_what_is_no_lattice_of_this_vocabulary_is_refused() -> None:
    with pytest.raises(InvalidLattice, match="columns"):
        SegmentDecoder(LENGTHS, EVERYTHING).decode(lattice(0, 4, width=4))
    with pytest.raises(ValueError, match="language model"):
        SegmentDecoder(LENGTHS, EVERYTHING, NgramModel.fit([[1]], ["A"], 2))
    with pytest.raises(ValueError, match="at least 1"):
        SegmentDecoder(LENGTHS, replace(EVERYTHING, beam=0))


def test_lengths_are_means_of_logarithms_drawn_together_and_survive_the_disk(tmp_path: Path) -> None:
    steps = [np.array([0, 1, 1, 0, 2])]
    lengths = SignLengths.fit(steps, [(1, 2.0), (1, 8.0), (2, 1.0)], width=4)
    np.testing.assert_allclose(np.exp(lengths.log_prior), [3 / 9, 3 / 9, 2 / 9, 1 / 9])
    overall = (math.log(2) + math.log(8)) / 3
    assert lengths.mean[1] == pytest.approx((math.log(16) + 2 * overall) / 4)
    assert lengths.mean[3] == pytest.approx(overall)  # never seen
    lengths.save(tmp_path / "lengths.json")
    again = SignLengths.load(tmp_path / "lengths.json", 4)
    np.testing.assert_allclose(again.mean, lengths.mean, atol=1e-4)
    with pytest.raises(ValueError, match="4 signs of this vocabulary"):
        SignLengths.load(tmp_path / "lengths.json", 5)
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(ValueError, match="does not hold"):
        SignLengths.load(tmp_path / "other.json", 4)
    with pytest.raises(ValueError, match="without a sign"):
        SignLengths.fit(steps, [], 4)
