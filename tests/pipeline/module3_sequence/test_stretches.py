from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken, GreedyDecoder
from app.pipeline.module3_sequence.stretches import reread, second_look, stretch_bounds


def lattice(rows: list[list[float]]) -> NDArray[np.float64]:
    table = np.array(rows, np.float64)
    return np.log(table / table.sum(axis=1, keepdims=True))


def test_stretches_meet_in_the_middle_and_reach_the_ends() -> None:
    tokens = [DecodedToken(1, 2, 3), DecodedToken(2, 7, 9), DecodedToken(1, 9, 10)]
    assert stretch_bounds(tokens, 12) == [(0, 5), (5, 9), (9, 12)]
    assert stretch_bounds([], 12) == []


def test_a_long_stretch_outweighs_a_peak_that_says_otherwise() -> None:
    # The peak says sign 1, the eight steps around it say sign 2 under the blank.
    around = [0.9, 0.01, 0.08, 0.01]
    table = lattice([around] * 4 + [[0.1, 0.5, 0.38, 0.02]] + [around] * 4)
    decoder = GreedyDecoder()
    decoder.feed(table)
    tokens = decoder.best().tokens
    assert [t.label for t in tokens] == [1]
    assert [t.label for t, _ in reread(tokens, table, 0.0)] == [1]
    ((token, confidence),) = reread(tokens, table, 0.4)
    assert (token.label, token.start_step, token.end_step) == (2, 4, 5)
    assert 0.5 < confidence < 1


def test_a_short_stretch_leaves_the_peak_alone() -> None:
    table = lattice([[0.9, 0.01, 0.08, 0.01], [0.1, 0.7, 0.18, 0.02]])
    assert [t.label for t, _ in reread([DecodedToken(1, 1, 2)], table, 0.4)] == [1]


def test_a_higher_temperature_is_less_sure() -> None:
    table = lattice([[0.1, 0.7, 0.2]] * 3)
    sure = [reread([DecodedToken(1, 0, 3)], table, 0.2, temperature)[0][1] for temperature in (0.5, 1.0, 2.0)]
    assert sure[0] > sure[1] > sure[2] > 0.5
    assert sure[1] == pytest.approx(0.7 / 0.9)


def test_steps_without_a_hand_have_no_say() -> None:
    # As the recogniser leaves them: only the blank is possible.
    quiet = [0.0] + [-50.0] * 3
    heard = lattice([[0.2, 0.5, 0.2, 0.1]])
    table = np.concatenate([[quiet] * 20, heard, [quiet] * 20])
    alone = reread([DecodedToken(1, 0, 1)], heard, 0.4)[0][1]
    assert reread([DecodedToken(1, 20, 21)], table, 0.4)[0][1] == pytest.approx(alone)


def test_a_second_look_reads_what_the_blank_hardly_hides_and_nothing_else() -> None:
    blank = [0.99, 0.004, 0.006]
    table = lattice([blank, [0.9, 0.02, 0.08], blank])
    (token,) = second_look(table, 3.0)
    assert (token.label, token.start_step, token.end_step) == (2, 1, 2)
    assert second_look(table, 2.0) == ()
    quiet = np.full((5, 3), -50.0)
    quiet[:, 0] = 0.0
    assert second_look(quiet, 100.0) == ()
    assert second_look(np.zeros((0, 3)), 3.0) == ()
