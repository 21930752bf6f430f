"""What a live session has used: the seconds in which frames came."""

from __future__ import annotations

import pytest

from app.services.captions.meter import Meter


def used(frames: list[tuple[float, float]]) -> float:
    """frames: (capture time, arrival)."""
    meter = Meter()
    for captured, arrived in frames:
        meter.add([captured], arrived)
    return meter.seconds


def test_nothing_is_used_without_frames() -> None:
    assert Meter().seconds == 0


def test_a_camera_is_paid_by_the_second() -> None:
    assert used([(i / 25, 100 + i / 25) for i in range(250)]) == pytest.approx(10)
    assert used([(i / 10, 100 + i / 10) for i in range(100)]) == pytest.approx(10, abs=0.1)


def test_a_pause_is_not_paid() -> None:
    assert used([(0, 0), (1000, 1000), (1001, 1001)]) == pytest.approx(2.04)


def test_a_recording_that_is_sent_faster_is_paid_by_its_own_length() -> None:
    assert used([(i / 25, 100 + i / 1000) for i in range(250)]) == pytest.approx(10)


def test_capture_times_that_stand_still_do_not_make_it_free() -> None:
    assert used([(i * 1e-6, 100 + i / 25) for i in range(250)]) == pytest.approx(10)


def test_messages_of_several_frames() -> None:
    meter = Meter()
    for start in range(0, 250, 10):
        meter.add([(start + i) / 25 for i in range(10)], 100 + start / 25)
    assert meter.seconds == pytest.approx(10)
