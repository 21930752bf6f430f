"""The settings of one run of the large vocabulary: a whole recipe in one dataclass, changed by `name=value`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from app.training.corpora.glosses.compose import Recipe
from app.training.corpora.glosses.device import Disturbance
from app.training.corpora.glosses.objective import Objective
from app.training.errors import ConfigError


def _network() -> dict[str, Any]:
    return {
        "body": "head",
        "norm": "layer",
        "residual": True,
        "model_dim": 320,
        "hand_dim": 160,
        "hidden": 256,
        "dropout": 0.3,
        "cosine_scale": 20.0,
    }


@dataclass(frozen=True)
class Settings:
    """One run."""

    steps: int = 8000
    """Optimiser steps at most."""
    seconds: float = 0.0
    """Seconds of training after which the run ends, the schedule with it; 0: no limit."""
    batch_size: int = 384
    """Phrases a step."""
    learning_rate: float = 2e-3
    """At the peak; cosine to almost 0."""
    warm_up: int = 200
    """Steps in which the rate rises."""
    weight_decay: float = 0.05
    """Of matrices; biases, norms and single numbers do not decay."""
    clip: float = 2.0
    """Greatest norm of the gradient."""
    average: float = 0.999
    """Decay of the averaged weights, which are evaluated and kept."""
    seed: int = 1
    """Of weights, dropout, phrases and disturbance."""
    workers: int = 2
    """Processes that compose phrases; 0: none."""
    save_every: int = 1000
    """Steps between checkpoints to resume from; 0: only at the end."""
    recipe: Recipe = field(default_factory=Recipe)
    """How phrases are composed."""
    disturbance: Disturbance = field(default_factory=Disturbance)
    """How they are augmented on the device."""
    objective: Objective = field(default_factory=Objective)
    """What is minimised."""
    teachers: tuple[str, ...] = ()
    """Checkpoint folders of networks with the same glosses, for `objective.distil`."""
    model: dict[str, Any] = field(default_factory=_network)
    """Fields of `ModelConfig`."""


def changed(settings: Settings, assignments: Sequence[str]) -> Settings:
    """Settings with `a.b=value` applied, values in JSON. Raises ConfigError for a field that does not exist."""
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"setting {assignment!r} should look like recipe.cut=0.25")
        settings = _set(settings, path.split("."), text)
    return settings


def _set(owner: Any, path: list[str], text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(owner, dict):
        return {**owner, path[0]: value}
    if not is_dataclass(owner) or isinstance(owner, type) or path[0] not in {f.name for f in fields(owner)}:
        raise ConfigError(f"unknown setting {path[0]!r}")
    old = getattr(owner, path[0])
    return replace(owner, **{path[0]: _set(old, path[1:], text) if len(path) > 1 else _like(old, value, path[0])})


def _like(old: Any, value: Any, name: str) -> Any:
    try:
        return tuple(value) if isinstance(old, tuple) else type(old)(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"setting {name!r} should be like {old!r}, got {value!r}") from error
