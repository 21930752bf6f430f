"""Time warping and its barycentre: known answers, agreement with brute force, and the laws they must obey."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.signer.making.barycentre import (
    MISSING_PRICE,
    accumulate,
    alignment_weights,
    barycentre,
    common_clock,
    frame_costs,
    pairwise_distances,
    warping_path,
)


def curve(t: np.ndarray) -> np.ndarray:
    """A two-dimensional gesture with a clear beginning, middle and end."""
    return np.stack([np.sin(2 * np.pi * t) + 2 * t, np.cos(3 * np.pi * t)], axis=1)


def test_barycentre_of_time_warped_copies_recovers_the_original() -> None:
    t = np.linspace(0, 1, 60)
    original = curve(t)
    copies = [curve(np.linspace(0, 1, n) ** p) for n, p in ((45, 0.7), (60, 1.0), (70, 1.4), (55, 1.8), (80, 0.55))]
    found = barycentre(copies, copies[2])
    _, path = warping_path(frame_costs(found.centre, original))
    error = np.linalg.norm(found.centre[path[:, 0]] - original[path[:, 1]], axis=1)
    assert error.mean() < 0.05
    pointwise = np.mean([c[np.linspace(0, len(c) - 1, 60).astype(int)] for c in copies], axis=0)
    _, path = warping_path(frame_costs(pointwise, original))
    assert error.mean() < 0.5 * np.linalg.norm(pointwise[path[:, 0]] - original[path[:, 1]], axis=1).mean()


def test_barycentre_averages_away_what_the_copies_do_not_share() -> None:
    rng = np.random.default_rng(1)
    t = np.linspace(0, 1, 50)
    copies = [curve(t ** rng.uniform(0.7, 1.4)) + rng.normal(0, 0.15, (50, 2)) for _ in range(30)]
    found = barycentre(copies, copies[0])

    def distance(a: np.ndarray) -> float:
        _, path = warping_path(frame_costs(a, curve(t)))
        return float(np.linalg.norm(a[path[:, 0]] - curve(t)[path[:, 1]], axis=1).mean())

    assert distance(found.centre) < 0.6 * distance(copies[0])


def test_barycentre_never_gets_worse_than_its_start() -> None:
    rng = np.random.default_rng(2)
    clips = [np.cumsum(rng.normal(size=(20, 3)), axis=0) for _ in range(8)]
    before = np.mean([warping_path(frame_costs(clips[0], c))[0] for c in clips]) / 20
    found = barycentre(clips, clips[0], iterations=15)
    assert found.costs.mean() <= before
    assert len(found.paths) == 8


def test_a_value_is_missing_when_most_clips_miss_it() -> None:
    t = np.linspace(0, 1, 20)
    seen, unseen = curve(t), curve(t)
    unseen[5:10, 1] = np.nan
    mostly_unseen = barycentre([seen, unseen, unseen], seen).centre
    assert np.isnan(mostly_unseen[6:9, 1]).all()
    assert np.isfinite(mostly_unseen[:, 0]).all()
    mostly_seen = barycentre([seen, seen, unseen], seen).centre
    np.testing.assert_allclose(mostly_seen, seen, atol=1e-9)


def test_without_clips_there_is_no_barycentre() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        barycentre([], np.zeros((3, 1)))


def brute_force(costs: np.ndarray) -> float:
    @functools.cache
    def cheapest(i: int, j: int) -> float:
        if i == 0 and j == 0:
            return float(costs[0, 0])
        before = [cheapest(a, b) for a, b in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if a >= 0 and b >= 0]
        return min(before) + float(costs[i, j])

    return cheapest(costs.shape[0] - 1, costs.shape[1] - 1)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
@settings(max_examples=60)
def test_path_is_monotone_complete_and_as_cheap_as_brute_force(n: int, m: int, seed: int) -> None:
    costs = np.random.default_rng(seed).random((n, m))
    total, path = warping_path(costs)
    assert total == pytest.approx(brute_force(costs))
    assert total == pytest.approx(costs[path[:, 0], path[:, 1]].sum())
    assert tuple(path[0]) == (0, 0)
    assert tuple(path[-1]) == (n - 1, m - 1)
    steps = np.diff(path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (steps.sum(axis=1) > 0).all()


@given(st.integers(2, 12), st.integers(2, 12), st.floats(0.05, 1), st.integers(0, 1000))
@settings(max_examples=60)
def test_a_band_always_leaves_a_path_and_never_makes_it_cheaper(n: int, m: int, band: float, seed: int) -> None:
    costs = np.random.default_rng(seed).random((n, m))
    banded = accumulate(costs, band)[-1, -1]
    assert np.isfinite(banded)
    assert banded >= accumulate(costs)[-1, -1] - 1e-12


def test_costs_are_squared_distances_and_missing_values_have_their_price() -> None:
    a = np.array([[0.0, 0.0], [1.0, np.nan]])
    b = np.array([[3.0, 4.0], [1.0, np.nan], [np.nan, 0.0]])
    expected = [[25, 1 + MISSING_PRICE, MISSING_PRICE], [4 + MISSING_PRICE, 0, 2 * MISSING_PRICE]]
    np.testing.assert_allclose(frame_costs(a, b), expected)


def test_pairwise_distances_agree_with_single_ones() -> None:
    clips = np.random.default_rng(3).normal(size=(5, 8, 2))
    distances = pairwise_distances(clips)
    assert (distances == distances.T).all()
    assert (np.diag(distances) == 0).all()
    assert distances[1, 3] == pytest.approx(warping_path(frame_costs(clips[1], clips[3]))[0] / 8)
    assert pairwise_distances(clips[:1]).shape == (1, 1)


def test_every_centre_frame_hears_one_vote_per_clip() -> None:
    path = np.array([[0, 0], [0, 1], [1, 2], [2, 2]])
    np.testing.assert_allclose(alignment_weights(path, 3, 3), [[0.5, 0.5, 0], [0, 0, 1], [0, 0, 1]])


def test_common_clock_is_the_mean_of_the_clips_clocks() -> None:
    straight = np.stack([np.arange(5), np.arange(5)], axis=1)
    np.testing.assert_allclose(common_clock([straight], [5], 5), np.linspace(0, 1, 5), atol=1e-5)
    late = np.array([[0, 0], [1, 0], [2, 0], [3, 2], [4, 4]])
    clock = common_clock([straight, late], [5, 5], 5)
    np.testing.assert_allclose(clock, [0, 0.125, 0.25, 0.625, 1], atol=1e-5)
