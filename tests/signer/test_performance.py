"""Joining signs: smooth, from rest to rest, and hands that keep their shape on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.signer.performance import (
    PARENTS,
    REST_WRISTS,
    Performance,
    blended_hands,
    bridge,
    joined,
    performed,
    smooth_step,
    smoothed,
)


def made_up(frames: int, seed: int, at: float = 0.0) -> Performance:
    rng = np.random.default_rng(seed)
    hands = np.cumsum(rng.normal(0, 0.05, (2, 21, 2)), axis=1)
    hands -= hands[:, :1]
    wrists = np.tile([[0.2 + at, 0.3], [-0.2 - at, 0.1 - at]], (frames, 1, 1))
    wrists = wrists + np.linspace(0, 0.2, frames)[:, None, None]
    return Performance(
        np.zeros((frames, 2)), wrists + 0.3, wrists, np.tile(hands, (frames, 1, 1, 1)), np.ones((frames, 2))
    )


def bones(hands: np.ndarray) -> np.ndarray:
    return np.linalg.norm(hands - hands[..., list(PARENTS), :], axis=-1)


def test_a_performance_starts_and_ends_at_rest() -> None:
    whole = performed([made_up(20, 1), made_up(15, 2, 0.3)])
    np.testing.assert_allclose(whole.wrists[0], REST_WRISTS)
    np.testing.assert_allclose(whole.wrists[-1], REST_WRISTS)


def test_signs_are_kept_whole_inside_a_phrase() -> None:
    first, second = made_up(20, 1), made_up(15, 2, 0.3)
    whole = performed([first, second])
    for sign in (first, second):
        found = [
            start
            for start in range(len(whole) - len(sign) + 1)
            if np.allclose(whole.wrists[start : start + len(sign)], sign.wrists)
        ]
        assert len(found) == 1


def test_between_signs_the_hands_do_not_go_down_to_rest() -> None:
    first, second = made_up(20, 1), made_up(15, 2, 0.3)
    way = bridge(first, second)
    assert 0.2 <= len(way) / 25 <= 0.5
    highest, lowest = min(first.wrists[-1, :, 1].min(), second.wrists[0, :, 1].min()), 1.0
    assert (way.wrists[..., 1] >= highest - 1e-9).all()
    assert (way.wrists[..., 1] < lowest).all()


def test_no_frame_jumps() -> None:
    whole = performed([made_up(20, 1), made_up(15, 2, 0.4), made_up(10, 3, -0.2)])
    assert np.linalg.norm(np.diff(whole.wrists, axis=0), axis=-1).max() < 0.45


def test_nothing_to_perform_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sign"):
        performed([])


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 12))
@settings(max_examples=40)
def test_bones_change_their_length_evenly_on_the_way(a: int, b: int, frames: int) -> None:
    first, second = made_up(1, a).hands[0], made_up(1, b).hands[0]
    share = smooth_step(frames)
    between = blended_hands(first, second, share)
    expected = (1 - share)[:, None, None] * bones(first) + share[:, None, None] * bones(second)
    np.testing.assert_allclose(bones(between), expected, atol=1e-9)


def test_a_blend_reaches_both_hands() -> None:
    first, second = made_up(1, 1).hands[0], made_up(1, 2).hands[0]
    ends = blended_hands(first, second, np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends[0], first, atol=1e-9)
    np.testing.assert_allclose(ends[1], second, atol=1e-9)


def test_minimum_jerk_is_symmetric_and_rises() -> None:
    way = smooth_step(9)
    assert (np.diff(way) > 0).all()
    np.testing.assert_allclose(way + way[::-1], 1)


def test_smoothing_keeps_constants_and_softens_steps() -> None:
    np.testing.assert_allclose(smoothed(np.full((10, 3), 2.0), 1.5), 2.0)
    step = smoothed(np.repeat([[0.0], [1.0]], 10, axis=0), 2.0)[:, 0]
    assert (np.diff(step) >= -1e-12).all()
    assert np.diff(step).max() < 0.3


def test_joining_keeps_every_frame() -> None:
    assert len(joined([made_up(4, 1), made_up(6, 2)])) == 10
