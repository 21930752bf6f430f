"""Settings of taught signs chosen on one half of the people."""

from __future__ import annotations

from typing import Any

import pytest

from app.pipeline.module3_sequence.taught import TaughtConfig
from app.training.corpora import teaching_halves
from app.training.corpora.teaching_halves import chosen_on, halves


def test_people_are_dealt_out_by_how_much_they_recorded() -> None:
    everybody: Any = {f"p{n}": {"A": [None] * n, "B": [None]} for n in range(1, 10)}
    first, second = halves(everybody)
    assert first.keys() | second.keys() == everybody.keys()
    assert not first.keys() & second.keys()
    assert {"p9", "p6"} <= first.keys()
    assert {"p8", "p7"} <= second.keys()


def test_settings_that_depend_on_each_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Averaged steps help only with a threshold that the first round has not tried yet."""
    asked = []

    def goal(settings: TaughtConfig, *_: object) -> float:
        asked.append(settings)
        together = settings.reach == 3 and settings.other > 0.4
        return float(together) + (settings.other == 0.5) - abs(settings.scale - 14)

    monkeypatch.setattr(teaching_halves, "with_settings", lambda _, settings: settings)
    monkeypatch.setattr(teaching_halves, "goal", goal)
    nobody: Any = None
    best = chosen_on(nobody, {}, "everyday", 3)
    assert (best.scale, best.other, best.reach) == (14, 0.5, 3)
    assert len(asked) == len(set(asked))  # nothing is measured twice
