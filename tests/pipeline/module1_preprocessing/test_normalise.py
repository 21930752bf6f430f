from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.keypoints import LEFT_HAND, POSE, RIGHT_HAND, mirrored
from app.pipeline.module1_preprocessing.normalise import (
    HISTORY,
    LEFT_FEATURES,
    NUM_FEATURES,
    RIGHT_FEATURES,
    Normaliser,
    normalise,
    push_together,
)
from tests.support.recognisers import performance


def with_gaps(frames: int, seed: int) -> np.ndarray:
    """A performance in which hands and the whole body come and go."""
    rng = np.random.default_rng(seed)
    points = performance(frames, seed)
    points[rng.random(frames) < 0.2, LEFT_HAND] = 0
    points[rng.random(frames) < 0.2, RIGHT_HAND] = 0
    points[rng.random(frames) < 0.1] = 0
    return points


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 150), max_size=8))
def test_live_frames_give_exactly_what_the_whole_clip_gives(seed: int, cuts: list[int]) -> None:
    points = with_gaps(150, seed)
    live = Normaliser(4 / 3)
    bounds = [0, *sorted(cuts), 150]
    parts = [live.push(points[a:b]) for a, b in itertools.pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(parts), normalise(points, 4 / 3))


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), max_size=8))
def test_several_streams_together_give_what_each_gives_alone(seed: int, sizes: list[list[int]]) -> None:
    aspects = (4 / 3, 1.0, 16 / 9)
    clips = [with_gaps(80, seed + i) for i in range(3)]
    together, alone = [Normaliser(a) for a in aspects], [Normaliser(a) for a in aspects]
    at = [0, 0, 0]
    for counts in sizes:
        parts = [clip[start : start + count] for clip, start, count in zip(clips, at, counts, strict=True)]
        at = [start + count for start, count in zip(at, counts, strict=True)]
        rows = push_together(list(zip(together, parts, strict=True)))
        for own, part, found in zip(alone, parts, rows, strict=True):
            np.testing.assert_array_equal(found, own.push(part))


def test_origin_and_unit_are_the_median_of_the_last_two_seconds() -> None:
    points = performance(130)
    scale = np.array([4 / 3, 1], np.float32)
    shoulders = points[:, [11, 12], :2] * scale
    middle = shoulders.mean(axis=1)
    width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1)
    t = 100
    history = slice(t - HISTORY + 1, t + 1)
    nose = (points[t, 0, :2] * scale - np.median(middle[history], axis=0)) / np.median(width[history])
    np.testing.assert_allclose(normalise(points, 4 / 3)[t, 1:3], nose, atol=1e-5)


@settings(max_examples=25)
@given(
    zoom=st.floats(0.5, 1.5), dx=st.floats(-0.3, 0.3), dy=st.floats(-0.3, 0.3), aspect=st.sampled_from([1.0, 4 / 3, 2])
)
def test_place_size_and_picture_shape_do_not_matter(zoom: float, dx: float, dy: float, aspect: float) -> None:
    points = performance(30)
    moved = points.copy()
    moved[..., 0] = points[..., 0] * (4 / 3) / aspect * zoom + dx
    moved[..., 1] = points[..., 1] * zoom + dy
    np.testing.assert_allclose(normalise(moved, aspect), normalise(points, 4 / 3), atol=2e-3)


def test_a_hand_and_its_mirror_image_look_the_same_to_the_shared_encoder() -> None:
    points = performance(20)
    plain, mirror = normalise(points, 4 / 3), normalise(mirrored(points), 4 / 3)
    np.testing.assert_allclose(plain[:, LEFT_FEATURES], mirror[:, RIGHT_FEATURES], atol=1e-4)


def test_a_missing_hand_is_a_mask_of_zeros_with_no_jump_around_it() -> None:
    points = performance(10)
    points[4:6, LEFT_HAND] = 0
    left = normalise(points, 4 / 3)[:, LEFT_FEATURES]
    assert left[:, 0].tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    assert (left[4:6] == 0).all()
    half = 1 + (left.shape[1] - 1) // 2
    assert (left[6, half:] == 0).all()  # no difference against a hand that was not there


def test_an_empty_room_is_all_zeros() -> None:
    out = normalise(np.zeros((12, 75, 3), np.float32), 4 / 3)
    assert out.shape == (12, NUM_FEATURES)
    assert (out == 0).all()


@pytest.mark.parametrize("frames", [0, 1])
def test_tiny_clips(frames: int) -> None:
    assert normalise(performance(3)[:frames], 1.0).shape == (frames, NUM_FEATURES)


def test_values_stay_bounded_whatever_comes_in() -> None:
    points = performance(20)
    points[:, POSE, :2] *= 1e-4  # everything in one spot: the shoulder width is almost nothing
    out = normalise(points, 4 / 3)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 20
