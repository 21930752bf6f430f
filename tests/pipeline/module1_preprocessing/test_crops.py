from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.keypoints import (
    LEFT_HAND,
    LEFT_SHOULDER,
    RIGHT_HAND,
    RIGHT_SHOULDER,
    Keypoints,
)
from app.pipeline.module1_preprocessing.crops import BODY_SIDE, Cropper, cut, num_views
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.resample import nearest_frames, resample
from app.pipeline.module1_preprocessing.video import Frame
from tests.support.recognisers import performance

WIDTH, HEIGHT = 160, 120


def gradient() -> np.ndarray:
    """A picture whose red is the column and green the row: every pixel says where it is."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = np.arange(WIDTH)[None]
    rgb[..., 1] = np.arange(HEIGHT)[:, None]
    return rgb


def test_the_cut_is_centred_and_repeats_the_edge_outside() -> None:
    inside = cut(gradient(), np.array([80.0, 60.0]), 32.0, 32)
    np.testing.assert_array_equal(inside, gradient()[44:76, 64:96])
    corner = cut(gradient(), np.array([0.0, 0.0]), 32.0, 32)
    np.testing.assert_array_equal(corner[16:, 16:], gradient()[:16, :16])
    assert (corner[:17, :17] == 0).all()
    np.testing.assert_array_equal(corner[0, 16:, 0], np.arange(16))


@given(
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
    st.floats(0, 5000),
    st.integers(1, 64),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_any_square_gives_a_whole_crop_of_what_is_in_the_picture(
    x: float, y: float, side: float, size: int, shape: tuple[int, int]
) -> None:
    rgb = np.random.default_rng(0).integers(10, 200, (*shape, 3)).astype(np.uint8)
    crop = cut(rgb, np.array([x, y]), side, size)
    assert crop.shape == (size, size, 3)
    assert crop.min() >= rgb.min()
    assert crop.max() <= rgb.max()


def test_the_body_stays_in_the_middle_wherever_it_stands() -> None:
    points = performance(1, seed=1)
    crops = []
    for shift in (0.0, 0.15):
        moved = points.copy()
        moved[..., 0] += shift
        crops.append(Cropper(64).push(gradient(), moved[0])[0])
    assert crops[0].shape == (64, 64, 3)
    shoulder = abs(points[0, LEFT_SHOULDER, 0] - points[0, RIGHT_SHOULDER, 0]) * WIDTH
    columns = crops[0][32, :, 0].astype(int)
    # Red grows by one a source pixel: a crop BODY_SIDE shoulders wide, as far as the picture reaches.
    assert np.diff(columns).max() <= np.ceil(BODY_SIDE * shoulder / 64)
    middle = (points[0, LEFT_SHOULDER, 0] + points[0, RIGHT_SHOULDER, 0]) / 2 * WIDTH
    for crop, shift in zip(crops, (0.0, 0.15), strict=True):
        assert int(crop[32, 32, 0]) == pytest.approx(middle + shift * WIDTH, abs=4)


def test_hands_get_their_own_pictures_and_a_missing_one_is_black() -> None:
    points = performance(1, seed=2)[0]
    cropper = Cropper(32, hands=True)
    assert num_views(True) == 3
    body, left, right = cropper.push(gradient(), points)
    for picture, where, mirrored in ((left, LEFT_HAND, True), (right, RIGHT_HAND, False)):
        hand = points[where, :2]
        x, y = ((hand.min(axis=0) + hand.max(axis=0)) / 2 * [WIDTH, HEIGHT]).tolist()
        assert int(picture[16, 16, 0]) == pytest.approx(x, abs=3)
        assert int(picture[16, 16, 1]) == pytest.approx(y, abs=3)
        assert (int(picture[16, 0, 0]) > int(picture[16, -1, 0])) is mirrored
    points[LEFT_HAND, 2] = 0
    again = cropper.push(gradient(), points)
    assert not again[1].any()
    assert again[2].any()
    np.testing.assert_array_equal(again[0], body)


def test_before_anybody_was_seen_the_middle_of_the_picture_is_shown() -> None:
    nobody = np.zeros((75, 3), np.float32)
    body, left, right = Cropper(60, hands=True).push(gradient(), nobody)
    np.testing.assert_array_equal(body, cut(gradient(), np.array([80.0, 60.0]), 120.0, 60))
    assert not left.any()
    assert not right.any()


def test_a_stream_gets_the_crops_that_the_file_gets() -> None:
    """Only the past counts: what comes later changes nothing."""
    points = performance(30, seed=3)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (30, HEIGHT, WIDTH, 3)).astype(np.uint8)
    whole, part = Cropper(24, hands=True), Cropper(24, hands=True)
    all_of_it = [whole.push(f, p) for f, p in zip(frames, points, strict=True)]
    beginning = [part.push(f, p) for f, p in zip(frames[:10], points[:10], strict=True)]
    np.testing.assert_array_equal(np.stack(all_of_it)[:10], np.stack(beginning))


@pytest.mark.slow
def test_the_extractor_tells_of_every_picture_with_its_own_landmarks() -> None:
    pictures = [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(7)]
    heard: list[tuple[int, np.ndarray]] = []
    with MediaPipeEngine(1) as engine, closing(engine.open()) as track:
        clip = find_landmarks(
            (Frame(p, i / 25) for i, p in enumerate(pictures)),
            track,
            lambda rgb, points: heard.append((int(rgb[0, 0, 0]) // 10, points)),
        )
    assert [number for number, _ in heard] == list(range(7))
    np.testing.assert_array_equal(np.stack([points for _, points in heard]), clip.points)


@given(st.lists(st.floats(0.005, 0.3), min_size=0, max_size=30))
def test_the_nearest_frames_are_those_that_resampling_lies_between(steps: list[float]) -> None:
    times = np.cumsum([0.0, *steps])
    clip = Keypoints(np.ones((len(times), 75, 3), np.float32), times)
    nearest = nearest_frames(times)
    assert len(nearest) == len(resample(clip))
    grid = times[0] + np.arange(len(nearest)) / 25
    for t, frame in zip(grid, nearest, strict=True):
        assert abs(times[frame] - t) <= np.abs(times - t).min() + 1e-6


def test_no_frames_have_no_nearest() -> None:
    assert len(nearest_frames(np.zeros(0))) == 0
