from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.keypoints import LEFT_HAND, Keypoints, hand_present
from app.pipeline.module1_preprocessing.resample import interpolate, resample
from tests.support.recognisers import performance


def test_same_rate_changes_nothing() -> None:
    points = performance(30)
    np.testing.assert_allclose(resample(Keypoints.at_rate(points, 25)), points, atol=1e-6)


@given(fps=st.sampled_from([5, 10, 12.5, 15, 24, 30, 50, 60]), frames=st.integers(2, 60))
def test_a_straight_motion_stays_straight_at_any_rate(fps: float, frames: int) -> None:
    times = np.arange(frames) / fps
    points = np.ones((frames, 75, 3), np.float32)
    points[..., 0] = times[:, None] * 0.1
    out = resample(Keypoints.at_rate(points, fps))
    assert len(out) == int(np.floor(times[-1] * 25 + 1e-6)) + 1
    np.testing.assert_allclose(out[:, 0, 0], np.arange(len(out)) / 25 * 0.1, atol=1e-5)


def test_uneven_capture_times_are_honoured() -> None:
    points = np.ones((3, 75, 3), np.float32)
    times = np.array([0.0, 0.05, 0.2])
    points[..., 1] = times[:, None]
    out = resample(Keypoints(points, times))
    np.testing.assert_allclose(out[:, 40, 1], [0, 0.04, 0.08, 0.12, 0.16, 0.2], atol=1e-6)


def test_a_hand_never_moves_halfway_to_missing() -> None:
    points = performance(2)
    points[1, LEFT_HAND] = 0
    out = interpolate(points, np.array([0.0, 0.3, 0.7, 1.0]))
    assert hand_present(out)[:, 0].tolist() == [True, True, False, False]
    np.testing.assert_array_equal(out[1, LEFT_HAND], points[0, LEFT_HAND])
    assert (out[2, LEFT_HAND] == 0).all()


@pytest.mark.parametrize("frames", [0, 1])
def test_tiny_clips(frames: int) -> None:
    assert len(resample(Keypoints.at_rate(performance(5)[:frames], 30))) == frames
