from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import BeamDecoder, InvalidLattice
from app.pipeline.module3_sequence.lattice import GlobalLattice, triangular_weights

WIDTH = 5


def log_rows(rng: np.random.Generator, steps: int, width: int = WIDTH) -> NDArray[np.float32]:
    logits = rng.normal(size=(steps, width)) * 3
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, NDArray[np.float32]]]]:
    """Window and stride in frames, and windows in order: any start, strides or more apart, the last perhaps short."""
    window = draw(st.integers(1, 16))
    stride = draw(st.integers(1, window))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = draw(st.integers(0, 50))
    windows = []
    for _ in range(draw(st.integers(1, 8))):
        windows.append((start, log_rows(rng, window)))
        start += draw(st.integers(stride, window))
    if draw(st.booleans()):
        start, rows = windows[-1]
        windows[-1] = (start, rows[: draw(st.integers(1, window))])
    return 4 * window, 4 * stride, windows


def plain_average(window: int, windows: list[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float64]:
    """The same by definition: weighted mean of probabilities over the whole stream at once."""
    first, end = windows[0][0], max(start + len(rows) for start, rows in windows)
    numerator, denominator = np.zeros((end - first, WIDTH)), np.zeros((end - first, 1))
    for start, rows in windows:
        weights = triangular_weights(window // 4)[: len(rows), None]
        numerator[start - first : start - first + len(rows)] += weights * np.exp(rows.astype(np.float64))
        denominator[start - first : start - first + len(rows)] += weights
    return numerator / denominator


@pytest.mark.parametrize("steps", [2, 4, 16, 40])
def test_windows_half_a_window_apart_sum_to_one(steps: int) -> None:
    weights = triangular_weights(steps)
    np.testing.assert_allclose(weights[: steps // 2] + weights[steps // 2 :], 1, atol=1e-15)
    assert (weights > 0).all()
    np.testing.assert_array_equal(weights, weights[::-1])


@given(streams())
def test_rows_are_the_weighted_mean_and_each_is_taken_once(
    stream: tuple[int, int, list[tuple[int, NDArray[np.float32]]]],
) -> None:
    window, stride, windows = stream
    lattice, taken = GlobalLattice(window, stride), []
    for start, rows in windows:
        lattice.add(start, rows)
        taken.append(lattice.take_final())
        assert len(lattice.take_final()) == 0
        assert lattice.next_step == windows[0][0] + sum(map(len, taken))
    taken.append(lattice.flush())
    result = np.concatenate(taken)
    assert result.dtype == np.float32
    np.testing.assert_allclose(np.exp(result), plain_average(window, windows), atol=1e-6)
    np.testing.assert_allclose(np.exp(result).sum(axis=1), 1, atol=1e-5)


@given(streams())
def test_final_steps_never_change_and_memory_is_bounded(
    stream: tuple[int, int, list[tuple[int, NDArray[np.float32]]]],
) -> None:
    window, stride, windows = stream
    patient, eager = GlobalLattice(window, stride), GlobalLattice(window, stride)
    seen: list[NDArray[np.float32]] = []
    until = windows[0][0]
    for start, rows in windows:
        patient.add(start, rows)
        eager.add(start, rows)
        seen.append(eager.take_final())
        assert eager.final_until() >= until
        until = eager.final_until()
        assert len(eager) == len(eager.pending()) <= window // 4
        assert eager.next_step == eager.final_until()
    seen.append(eager.flush())
    np.testing.assert_array_equal(np.concatenate(seen), patient.flush())


@given(st.integers(1, 16), st.integers(0, 1000), st.integers(0, 2**32 - 1))
def test_a_single_window_comes_out_bit_for_bit(steps: int, start: int, seed: int) -> None:
    rows = log_rows(np.random.default_rng(seed), steps)
    rows[0] = [-1e-12, -30, -31, -np.inf, -100]  # so near certain that adding and taking off a weight would show
    lattice = GlobalLattice(64, 64)
    lattice.add(start, rows)
    np.testing.assert_array_equal(lattice.flush(), rows)


def test_windows_side_by_side_come_out_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    lattice, windows = GlobalLattice(64, 64), [log_rows(rng, 16) for _ in range(3)]
    for i, rows in enumerate(windows):
        lattice.add(16 * i, rows)
        np.testing.assert_array_equal(lattice.take_final(), rows)
        assert len(lattice) == 0


def test_what_is_final_and_what_pends() -> None:
    rng = np.random.default_rng(1)
    first, second = log_rows(rng, 16), log_rows(rng, 16)
    lattice = GlobalLattice(64, 32)
    assert lattice.final_until() == 0
    assert len(lattice.take_final()) == len(lattice.flush()) == 0
    lattice.add(0, first)
    assert lattice.final_until() == 8
    np.testing.assert_array_equal(lattice.pending(), first[8:])
    lattice.add(8, second)
    assert lattice.final_until() == 16
    np.testing.assert_array_equal(lattice.take_final()[:8], first[:8])
    np.testing.assert_array_equal(lattice.pending(), second[8:])


def test_a_step_the_windows_agree_to_be_impossible_stays_so() -> None:
    lattice = GlobalLattice(64, 32)
    rows = np.full((16, 3), -np.inf, np.float32)
    rows[:, :2] = np.log(0.5)
    lattice.add(0, rows)
    lattice.add(8, rows)
    np.testing.assert_allclose(np.exp(lattice.flush()), np.exp(np.tile(rows[:1], (24, 1))), atol=1e-7)


def test_after_a_flush_the_stream_goes_on_without_touching_final_steps() -> None:
    rng = np.random.default_rng(2)
    lattice = GlobalLattice(64, 32)
    lattice.add(0, log_rows(rng, 16))
    lattice.add(8, log_rows(rng, 11))
    assert len(lattice.flush()) == 19
    overlapping = log_rows(rng, 16)
    lattice.add(16, overlapping)
    assert lattice.next_step == 19
    np.testing.assert_array_equal(lattice.take_final(), overlapping[3:8])
    lattice.flush()
    lattice.add(100, overlapping)
    assert lattice.next_step == 100
    np.testing.assert_array_equal(lattice.flush(), overlapping)


def test_a_short_window_can_be_flushed_and_followed_at_once() -> None:
    rng = np.random.default_rng(3)
    lattice = GlobalLattice(64, 32)
    lattice.add(0, log_rows(rng, 5))
    assert lattice.final_until() == 5
    assert len(lattice.flush()) == 5
    following = log_rows(rng, 16)
    lattice.add(5, following)
    np.testing.assert_array_equal(lattice.flush(), following)


def test_rows_handed_out_and_taken_in_belong_to_their_owners() -> None:
    rows = log_rows(np.random.default_rng(4), 16)
    kept = rows.copy()
    lattice = GlobalLattice(64, 32)
    lattice.add(0, rows)
    rows[:] = -1
    lattice.pending()[:] = -2
    np.testing.assert_array_equal(lattice.flush(), kept)


@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 16, 32, 64]))
def test_streamed_decoding_equals_decoding_the_whole_lattice(seed: int, stride: int) -> None:
    rng = np.random.default_rng(seed)
    lattice, whole = GlobalLattice(64, stride), GlobalLattice(64, stride)
    decoder, reference = BeamDecoder(), BeamDecoder()
    for i in range(4):
        rows = log_rows(rng, 16)
        lattice.add(i * stride // 4, rows)
        whole.add(i * stride // 4, rows)
        decoder.feed(lattice.take_final())
    decoder.feed(lattice.flush())
    reference.feed(whole.flush())
    assert decoder.n_best(5) == reference.n_best(5)


@pytest.mark.parametrize(("window", "stride"), [(64, 0), (64, 30), (62, 32), (32, 64), (0, 0), (64, -4)])
def test_windows_that_do_not_fit_the_grid(window: int, stride: int) -> None:
    with pytest.raises(ValueError):
        GlobalLattice(window, stride)


def test_windows_that_break_the_order_are_refused_and_change_nothing() -> None:
    rng = np.random.default_rng(6)
    rows = log_rows(rng, 16)
    lattice = GlobalLattice(64, 32)
    with pytest.raises(ValueError, match="too late"):
        lattice.add(-1, rows)
    lattice.add(0, rows)
    before = lattice.pending()
    for start, says in ((7, "too late"), (17, "gap")):
        with pytest.raises(ValueError, match=says):
            lattice.add(start, rows)
    with pytest.raises(InvalidLattice, match="1 to 16"):
        lattice.add(8, log_rows(rng, 17))
    with pytest.raises(InvalidLattice, match="1 to 16"):
        lattice.add(8, rows[:0])
    with pytest.raises(InvalidLattice, match="vocabulary"):
        lattice.add(8, log_rows(rng, 16, WIDTH + 1))
    with pytest.raises(InvalidLattice, match="logarithm"):
        lattice.add(8, np.exp(rows))
    np.testing.assert_array_equal(lattice.pending(), before)
