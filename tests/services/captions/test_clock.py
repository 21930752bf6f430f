from __future__ import annotations

import pytest

from app.core.errors import BadTimestamp
from app.services.captions.clock import StreamClock


def test_the_clock_goes_forward_whatever_the_client_says() -> None:
    clock = StreamClock(25)
    assert clock.times(2, 10_000_000) == ([0.0, 0.04], False)
    assert clock.times(1, 10_080_000)[0] == pytest.approx([0.08])
    with pytest.raises(BadTimestamp):
        clock.times(1, 10_080_000)
    (jumped,), gap = clock.times(1, 99_000_000)
    assert gap
    assert jumped == pytest.approx(0.12)
    (back,), gap = clock.times(1, 5)
    assert gap
    assert back == pytest.approx(0.16)
    assert clock.times(3, None)[0] == pytest.approx([0.20, 0.24, 0.28])


def test_frames_without_times_are_dated_by_their_arrival_and_never_go_back() -> None:
    clock = StreamClock(25)
    assert clock.arrival(100.0) == pytest.approx(0.0)
    assert clock.arrival(100.5) == pytest.approx(0.5)
    assert clock.arrival(100.5) > 0.5
