"""Settings of taught signs chosen on one half of the people."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.pipeline.module3_sequence.taught import TaughtConfig
from app.training.corpora import teaching_halves
from app.training.corpora.teaching import Tally
from app.training.corpora.teaching_halves import Choice, chosen_on, halves, thinned


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

    def goal(_: Choice, settings: TaughtConfig) -> float:
        asked.append(settings)
        together = settings.reach == 3 and settings.other > 0.4
        return float(together) + (settings.other == 0.5) - abs(settings.scale - 14)

    monkeypatch.setattr(teaching_halves, "with_settings", lambda _, settings: settings)
    monkeypatch.setattr(Choice, "goal", goal)
    nobody: Any = None
    best = chosen_on(nobody, Choice({}, {}, "everyday", 3, 2))
    assert (best.scale, best.other, best.reach) == (14, 0.5, 3)
    assert len(asked) == len(set(asked))  # nothing is measured twice


def test_what_known_signs_lose_weighs_more_than_what_taught_ones_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taught signs and letters gain four points each while known ones lose three."""

    def answers(right: float) -> Tally:
        tally = Tally()
        tally.right["ann"] = [n < 100 * right for n in range(100)]
        return tally

    figures = {"taught": 0.90, "known after": 0.75, "letters": 0.80}
    monkeypatch.setattr(teaching_halves, "alone", lambda *_: answers(0.95))
    monkeypatch.setattr(
        teaching_halves,
        "divided",
        lambda *_, before=True: {
            "taught": answers(figures["taught"]),
            "known before": answers(0.75),
            "known after": answers(figures["known after"]),
        },
    )
    monkeypatch.setattr(teaching_halves, "together", lambda *_: {"taught": answers(figures["letters"])})
    monkeypatch.setattr(teaching_halves, "never_taught", lambda *_: ["sure", "nothing"])
    recogniser: Any = SimpleNamespace(prototypes=object())
    choice = Choice({}, {"bob": {}}, "everyday", 3, 2)
    before = choice.goal(recogniser)
    assert before == pytest.approx((0.95 + 0.90 + 0.75 + 0.80 + 0.5) / 5)
    figures |= {"taught": 0.94, "letters": 0.84, "known after": 0.72}
    assert choice.goal(recogniser) < before
    figures["known after"] = 0.74
    assert choice.goal(recogniser) > before


def test_a_choice_reads_a_few_recordings_of_each_sign() -> None:
    everybody: Any = {"ann": {"A": list(range(40)), "B": [1]}}
    assert thinned(everybody, 5) == {"ann": {"A": [0, 1, 2, 3, 4], "B": [1]}}
