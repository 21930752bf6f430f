"""The settings of a run of the large vocabulary: a whole recipe in one YAML file, changed by `name=value`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.pipeline.module3_sequence.model import ModelConfig
from app.training.config import build, parsed, put
from app.training.corpora.glosses.compose import Recipe
from app.training.corpora.glosses.device import Disturbance
from app.training.corpora.glosses.objective import Objective
from app.training.errors import ConfigError
from app.training.kinds import read_yaml


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
    """One stage of a run."""

    steps: int = 8000
    """Optimiser steps at most."""
    seconds: float = 0.0
    """Seconds of training after which the run ends, the schedule with it; 0: no limit."""
    batch_size: int = 384
    """Phrases a step, over all processes."""
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
    """Processes that compose phrases, for each process that trains; 0: none."""
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

    def __post_init__(self) -> None:
        """Raises ConfigError for numbers that no run can have."""
        for name, least in (("steps", 1), ("batch_size", 1), ("seconds", 0), ("workers", 0), ("save_every", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} should be {least} or more, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ConfigError(f"learning_rate should be over 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise ConfigError(f"average should be 0 or more and under 1, got {self.average}")
        if self.objective.distil and not self.teachers:
            raise ConfigError("objective.distil needs teachers: name checkpoint folders in the setting teachers")


@dataclass(frozen=True)
class Plan:
    """A whole recipe: one network, trained in stage by stage, each from the averaged weights of the one before."""

    stages: tuple[Settings, ...]
    """In their order."""
    clips_per_gloss: int | None = None
    """At most so many clips of a signer's gloss are read; None: all."""


def changed(settings: Settings, assignments: Sequence[str]) -> Settings:
    """Settings with `a.b=value` applied, values in YAML. Raises ConfigError for a field that does not exist."""
    values = asdict(settings)
    for assignment in assignments:
        put(values, *parsed(assignment))
    return _settings(values, "")


def load_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a config of kind glosses. Raises ConfigError.

    The file holds settings of all stages, and under `stages` by name what is different in each of them. overrides:
    "batch_size=16" changes all stages, "stages.first.steps=100" one of them.
    """
    values = read_yaml(path)
    own = {name: values.pop(name, None) for name in ("kind", "name", "description", "clips_per_gloss", "stages")}
    stages = {"": {}} if own["stages"] is None else own["stages"]
    if not isinstance(stages, dict) or not stages or not all(isinstance(v, dict) for v in stages.values()):
        raise ConfigError(f"stages should be a mapping of names to settings, got {stages!r}")
    everywhere: list[tuple[str, Any]] = []
    alone: dict[str, list[tuple[str, Any]]] = {name: [] for name in stages}
    for key, value in map(parsed, overrides):
        if key == "clips_per_gloss":
            own[key] = value
        elif key.startswith("stages."):
            _, name, setting = (*key.split(".", 2), "", "")[:3]
            if name not in alone or not setting:
                known = ", ".join(f"stages.{n}" for n in alone if n)
                raise ConfigError(f"unknown setting {key}; known: {known or 'no stages'}")
            alone[name].append((setting, value))
        else:
            everywhere.append((key, value))
    common = _merged(asdict(Settings()), values)
    _settings(_with(common, everywhere), "")  # what is wrong in all stages is named without one
    built = tuple(
        _settings(_with(_with(_merged(common, stages[name]), everywhere), alone[name]), f"stages.{name}.")
        for name in stages
    )
    for stage in built[1:]:
        if stage.model != built[0].model:
            raise ConfigError("stages: all train one network, so model has to be the same in each of them")
    most = own["clips_per_gloss"]
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigError(f"clips_per_gloss should be a whole number over 0, or null, got {most!r}")
    return Plan(built, most)


def _settings(values: dict[str, Any], where: str) -> Settings:
    settings: Settings = build(Settings, values, where)
    try:
        ModelConfig(labels=1, **settings.model)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}model: {error}") from error
    return settings


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, groups merged."""
    out = copy.deepcopy(base)
    for key, value in changes.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _with(base: dict[str, Any], changes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = copy.deepcopy(base)
    for key, value in changes:
        put(out, key, value)
    return out
