from __future__ import annotations

import pytest

from app.training.loop import pace
from app.training.loop.pace import Pace, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (101, "2 min"), (5940, "99 min"), (6000, "1 h 40 min")]
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_resumed_run_counts_its_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    run = Pace(50, 100)
    assert run.left(50) == "0 s"
    now[0] = 120.0
    assert run.left(60) == "80 s"
    assert run.left(100) == "0 s"
