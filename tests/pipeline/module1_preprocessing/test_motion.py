from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.motion import MotionGate, find_landmarks_with_skipping
from app.pipeline.module1_preprocessing.video import Frame


class Counting:
    """A LandmarkTrack whose landmarks give the brightness of the image."""

    depth = 2

    def __init__(self) -> None:
        self.seen: list[float] = []
        self._waiting: list[float] = []

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def send(self, rgb: NDArray[np.uint8]) -> None:
        self._waiting.append(float(rgb.mean()))
        self.seen.append(float(rgb.mean()))

    def receive(self) -> NDArray[np.float32]:
        return np.full((75, 3), self._waiting.pop(0) / 255, np.float32)

    def close(self) -> None: ...


def frames(levels: Iterable[int]) -> list[Frame]:
    return [Frame(np.full((48, 64, 3), level, np.uint8), i / 25) for i, level in enumerate(levels)]


@given(skip=st.integers(0, 8), count=st.integers(0, 60))
def test_frame_skip_takes_the_first_and_every_following(skip: int, count: int) -> None:
    clip = find_landmarks_with_skipping(frames(range(count)), Counting(), frame_skip=skip)
    np.testing.assert_allclose(clip.times * 25, range(0, count, skip + 1), atol=1e-9)


def test_gate_off_lets_everything_through() -> None:
    gate = MotionGate(0)
    still = np.zeros((48, 64, 3), np.uint8)
    assert all(gate.moved(still) for _ in range(3))


def test_gate_sees_a_small_moving_thing_and_not_sensor_noise() -> None:
    gate = MotionGate(0.02)
    rng = np.random.default_rng(0)
    room = rng.integers(60, 160, (480, 640, 3), dtype=np.uint8)
    assert gate.moved(room)
    assert not gate.moved(np.clip(room + rng.normal(0, 4, room.shape), 0, 255).astype(np.uint8))
    finger = room.copy()
    finger[200:240, 300:330] = 255
    assert gate.moved(finger)
    assert not gate.moved(finger)


def test_slow_change_adds_up() -> None:
    gate = MotionGate(0.05)
    let_through = [level for level in range(0, 60) if gate.moved(np.full((48, 64, 3), level, np.uint8))]
    assert let_through == [0, 13, 26, 39, 52]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_bad_settings(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        MotionGate(threshold)


def test_still_frames_repeat_the_last_landmarks_at_their_own_time() -> None:
    inner = Counting()
    clip = find_landmarks_with_skipping(frames([0, 0, 100, 100, 100, 200]), inner, motion_threshold=0.1)
    np.testing.assert_allclose(clip.points[:, 0, 0] * 255, [0, 0, 100, 100, 100, 200], atol=1e-3)
    np.testing.assert_allclose(clip.times, np.arange(6) / 25)
    assert inner.seen == [0, 100, 200]
    assert clip.aspect == pytest.approx(4 / 3)


def test_pictures_are_looked_at_once_and_repeated_with_their_landmarks() -> None:
    told: list[float] = []

    def look(rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
        told.append(rgb.mean())
        return np.array([rgb.mean(), points[0, 0]], np.float32)

    clip = find_landmarks_with_skipping(
        frames([0, 9, 0, 9, 100, 9, 100, 9, 200]), Counting(), frame_skip=1, motion_threshold=0.1, on_landmarks=look
    )
    assert told == [0, 100, 200]
    assert clip.rgb_features is not None
    np.testing.assert_allclose(clip.rgb_features[:, 0], [0, 0, 100, 100, 200])
    np.testing.assert_allclose(clip.rgb_features[:, 1], clip.points[:, 0, 0])


def test_skipped_frames_are_left_out() -> None:
    inner = Counting()
    clip = find_landmarks_with_skipping(frames(range(0, 70, 10)), inner, frame_skip=2)
    np.testing.assert_allclose(clip.times, [0, 3 / 25, 6 / 25])
    assert len(inner.seen) == 3


def test_no_frames() -> None:
    assert len(find_landmarks_with_skipping([], Counting(), 1, 0.5)) == 0
