from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.keypoints import (
    MIRROR,
    InvalidKeypoints,
    Keypoints,
    hand_present,
    joined_blocks,
    mirrored,
    person_present,
)
from tests.support.recognisers import performance


def test_mirror_is_its_own_inverse() -> None:
    assert (MIRROR[MIRROR] == np.arange(75)).all()
    points = performance()
    np.testing.assert_allclose(mirrored(mirrored(points)), points, atol=1e-6)


def test_mirror_swaps_hands_and_leaves_a_missing_one_missing() -> None:
    points = performance(5)
    points[:, 33:54] = 0
    there = hand_present(mirrored(points))
    assert there[:, 0].all()
    assert not there[:, 1].any()
    assert (mirrored(points)[:, 54:] == 0).all()


def test_joined_blocks_mark_zero_hands_as_missing() -> None:
    pose, left, right = np.ones((3, 33, 3)), np.ones((3, 21, 2)), np.ones((3, 21, 2))
    left[1] = 0
    pose[2] = 0
    points = joined_blocks(pose, left, right)
    assert points.dtype == np.float32
    assert hand_present(points).tolist() == [[True, True], [False, True], [True, True]]
    assert person_present(points).tolist() == [True, True, False]
    assert joined_blocks(pose, left, right, np.float16).dtype == np.float16
    with pytest.raises(InvalidKeypoints, match=r"'right' should be \(frames, 21, 2\) with as many frames"):
        joined_blocks(pose, left, right[:2])


@pytest.mark.parametrize(
    ("points", "times", "aspect", "says"),
    [
        (np.zeros((2, 74, 3), np.float32), np.array([0.0, 1]), 1.0, "75"),
        (np.zeros((2, 75, 3), np.float32), np.array([0.0]), 1.0, "capture times"),
        (np.full((1, 75, 3), np.nan, np.float32), np.array([0.0]), 1.0, "NaN"),
        (np.zeros((2, 75, 3), np.float32), np.array([1.0, 1.0]), 1.0, "increasing"),
        (np.zeros((2, 75, 3), np.float32), np.array([0.0, np.inf]), 1.0, "finite"),
        (np.zeros((1, 75, 3), np.float32), np.array([0.0]), 0.0, "aspect"),
    ],
)
def test_bad_landmarks_are_refused(points: np.ndarray, times: np.ndarray, aspect: float, says: str) -> None:
    with pytest.raises(InvalidKeypoints, match=says):
        Keypoints(points, times, aspect)


@given(fps=st.floats(1, 240), frames=st.integers(2, 50))
def test_duration_counts_the_last_frame(fps: float, frames: int) -> None:
    clip = Keypoints.at_rate(np.zeros((frames, 75, 3), np.float32), fps)
    assert clip.duration_s == pytest.approx(frames / fps)


@pytest.mark.parametrize("fps", [0, -25, 241, float("nan")])
def test_impossible_rates_are_refused(fps: float) -> None:
    with pytest.raises(InvalidKeypoints, match="frames per second"):
        Keypoints.at_rate(np.zeros((2, 75, 3), np.float32), fps)
