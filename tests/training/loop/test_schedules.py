from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.training.config import OptimConfig
from app.training.loop.schedules import Plateau, learning_rate


def rates(**settings: object) -> list[float]:
    config = OptimConfig(**{"steps": 100, "warmup": 0.1, "learning_rate": 1.0, **settings})  # type: ignore[arg-type]
    return [learning_rate(step, config) for step in range(config.steps)]


def test_one_cycle_rises_then_falls_to_a_hundredth() -> None:
    cycle = rates()
    assert max(cycle) == 1.0
    assert cycle[:10] == sorted(cycle[:10])
    assert cycle[10:] == sorted(cycle[10:], reverse=True)
    assert 0.01 <= cycle[-1] < 0.02


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scheduler": "step"}, {0: 0.1, 9: 1.0, 10: 1.0, 54: 1.0, 55: 0.1, 77: 0.1, 78: 0.01, 99: 0.01}),
        ({"scheduler": "step", "milestones": (), "warmup": 0.0}, {0: 1.0, 99: 1.0}),
        ({"scheduler": "step", "gamma": 0.5, "milestones": (0.0, 0.5)}, {9: 1.0, 10: 0.5, 99: 0.25}),
        ({"scheduler": "cosine", "warmup": 0.0}, {0: 1.0, 1: 1.0, 50: 0.508, 99: 0.0}),
        ({"scheduler": "cosine", "cycles": 3}, {9: 1.0, 10: 1.0, 25: 0.5, 40: 1.0, 55: 0.5, 70: 1.0}),
        ({"scheduler": "plateau"}, {4: 0.5, 9: 1.0, 10: 1.0, 99: 1.0}),
    ],
)
def test_the_rate_at_a_step(settings: dict[str, object], expected: dict[int, float]) -> None:
    found = rates(**settings)
    assert {step: found[step] for step in expected} == pytest.approx(expected, abs=1e-3)


def test_the_plateau_schedule_drops_with_the_dev_figures() -> None:
    config = OptimConfig(steps=100, scheduler="plateau", learning_rate=1.0, gamma=0.5, plateau_patience=2)
    plateau = Plateau()
    seen = []
    for wer in (0.5, 0.4, 0.4, 0.41, 0.45, 0.39, 0.39, 0.5, 0.6, 0.7):
        plateau.update(wer, config.plateau_patience)
        seen.append(learning_rate(50, config, plateau.drops))
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


@given(wers=st.lists(st.floats(0, 2), min_size=1), patience=st.integers(1, 5))
def test_the_plateau_knows_the_best_and_how_long_ago_it_was(wers: list[float], patience: int) -> None:
    plateau = Plateau()
    improved = [plateau.update(wer, patience) for wer in wers]
    first_best = wers.index(min(wers))
    assert plateau.best == min(wers)
    assert plateau.bad == len(wers) - 1 - first_best
    assert improved[first_best]
    assert improved == [all(w > wer for w in wers[:i]) for i, wer in enumerate(wers)]
    assert plateau.drops <= len(wers) // patience


@given(
    steps=st.integers(1, 400),
    warmup=st.floats(0, 0.99),
    scheduler=st.sampled_from(["one_cycle", "cosine", "step", "plateau"]),
    cycles=st.integers(1, 5),
    drops=st.integers(0, 5),
)
def test_every_rate_is_usable_and_the_warm_up_is_the_same(
    steps: int, warmup: float, scheduler: str, cycles: int, drops: int
) -> None:
    config = OptimConfig(steps=steps, warmup=warmup, scheduler=scheduler, cycles=cycles)  # type: ignore[arg-type]
    found = [learning_rate(step, config, drops) for step in range(steps)]
    assert all(0 < rate <= config.learning_rate for rate in found)
    warm = max(1, int(warmup * steps))
    assert found[:warm] == [config.learning_rate * ((step + 1) / warm) for step in range(min(warm, steps))]
    assert math.isclose(found[warm - 1], config.learning_rate)
