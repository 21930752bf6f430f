from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.mediapipe import OnLandmarks
from app.pipeline.module1_preprocessing.motion import FrameSkip, MotionGate, SkippingExtractor
from app.pipeline.module1_preprocessing.video import Frame


class Counting:
    """A PoseExtractor whose landmarks tell the picture's brightness."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.closed = False

    def extract(self, frames: Iterable[Frame], on_landmarks: OnLandmarks | None = None) -> Keypoints:
        rows, times, seen = [], [], []
        for frame in frames:
            rows.append(self.extract_frame(frame.rgb, frame.time_s))
            times.append(frame.time_s)
            if on_landmarks is not None:
                seen.append(on_landmarks(frame.rgb, rows[-1]))
        points = np.stack(rows) if rows else np.zeros((0, 75, 3), np.float32)
        rgb = np.stack([row for row in seen if row is not None]) if seen else None
        return Keypoints(points, np.array(times, np.float64), 1.5, rgb)

    def extract_frame(self, rgb: NDArray[np.uint8], time_s: float) -> NDArray[np.float32]:
        self.seen.append(time_s)
        return np.full((75, 3), rgb.mean() / 255, np.float32)

    def reset(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def frames(levels: Iterable[int]) -> list[Frame]:
    return [Frame(np.full((48, 64, 3), level, np.uint8), i / 25) for i, level in enumerate(levels)]


@given(skip=st.integers(0, 8), count=st.integers(0, 60))
def test_frame_skip_takes_the_first_and_every_following(skip: int, count: int) -> None:
    gate = FrameSkip(skip)
    assert [i for i in range(count) if gate.take()] == list(range(0, count, skip + 1))
    gate.reset()
    assert gate.take()


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


def test_reset_forgets_the_last_picture() -> None:
    gate = MotionGate(0.5)
    still = np.zeros((48, 64, 3), np.uint8)
    assert gate.moved(still)
    assert not gate.moved(still)
    gate.reset()
    assert gate.moved(still)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_bad_settings(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        MotionGate(threshold)
    with pytest.raises(ValueError, match="left out"):
        FrameSkip(-1)


def test_still_frames_repeat_the_last_landmarks_at_their_own_time() -> None:
    inner = Counting()
    clip = SkippingExtractor(inner, motion_threshold=0.1).extract(frames([0, 0, 100, 100, 100, 200]))
    np.testing.assert_allclose(clip.points[:, 0, 0] * 255, [0, 0, 100, 100, 100, 200], atol=1e-3)
    np.testing.assert_allclose(clip.times, np.arange(6) / 25)
    assert inner.seen == [0.0, 2 / 25, 5 / 25]
    assert clip.aspect == 1.5


def test_pictures_are_looked_at_once_and_repeated_with_their_landmarks() -> None:
    told: list[float] = []

    def look(rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
        told.append(rgb.mean())
        return np.array([rgb.mean(), points[0, 0]], np.float32)

    clip = SkippingExtractor(Counting(), frame_skip=1, motion_threshold=0.1).extract(
        frames([0, 9, 0, 9, 100, 9, 100, 9, 200]), look
    )
    assert told == [0, 100, 200]
    assert clip.rgb is not None
    np.testing.assert_allclose(clip.rgb[:, 0], [0, 0, 100, 100, 200])
    np.testing.assert_allclose(clip.rgb[:, 1], clip.points[:, 0, 0])


def test_skipped_frames_are_left_out() -> None:
    inner = Counting()
    clip = SkippingExtractor(inner, frame_skip=2).extract(frames(range(0, 70, 10)))
    np.testing.assert_allclose(clip.times, [0, 3 / 25, 6 / 25])
    assert len(inner.seen) == 3


def test_no_frames() -> None:
    assert len(SkippingExtractor(Counting(), 1, 0.5).extract([])) == 0


def test_frame_by_frame_the_gate_repeats_and_close_is_passed_on() -> None:
    inner = Counting()
    thrifty = SkippingExtractor(inner, motion_threshold=0.1)
    got = [float(thrifty.extract_frame(f.rgb, f.time_s)[0, 0]) for f in frames([50, 50, 150])]
    assert got == pytest.approx([50 / 255, 50 / 255, 150 / 255])
    assert len(inner.seen) == 2
    thrifty.close()
    assert inner.closed
