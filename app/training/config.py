"""A training run's settings: one YAML file, frozen dataclasses, unknown keys refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from app.pipeline.module3_sequence.losses import LossConfig
from app.pipeline.module3_sequence.model import ModelConfig
from app.training.phrases import PhraseConfig


class ConfigError(ValueError):
    """A setting is unknown or of the wrong kind; the message names it."""


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with one cycle. amp: bf16 autocast on CUDA. ema: decay of the averaged weights that are kept (0 = off)."""

    steps: int = 2600
    batch_size: int = 40
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip_norm: float = 5.0
    ema: float = 0.998
    amp: bool = True
    save_every: int = 200
    eval_every: int = 400
    seed: int = 1


@dataclass(frozen=True)
class TrainConfig:
    """glosses: what to learn, empty = everything the corpus has; `without`: what not, "FS-*" for the letters.

    teacher_weight: of the distillation from the runs given as --teachers.
    """

    name: str = "run"
    glosses: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
    phrases: PhraseConfig = field(default_factory=PhraseConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    teacher_weight: float = 1.0

    def model_config(self, labels: int, imposed: dict[str, Any] | None = None) -> ModelConfig:
        """The network for so many labels; `imposed` is what the corpus decides. Raises ConfigError."""
        try:
            return ModelConfig.from_dict({**self.model, **(imposed or {}), "labels": labels})
        except TypeError as error:
            raise ConfigError(f"model: {error}") from error


def _build(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} should be a mapping of settings, got {values!r}")
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"unknown setting {where}{unknown[0]}; known: {', '.join(sorted(hints))}")
    built = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(hints[key]):
            built[key] = _build(hints[key], value, f"{where}{key}.")
        else:
            built[key] = tuple(value) if isinstance(value, list) else value
            if hints[key] == tuple[str, ...] and not all(isinstance(v, str) for v in built[key]):
                raise ConfigError(
                    f"{where}{key} should be a list of texts; YAML reads a bare YES or NO as true or false: quote it"
                )
    return kind(**built)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML config; `overrides` are "optim.steps=100"-like strings, values in YAML. Raises ConfigError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"override {override!r} should look like optim.steps=100")
        target = values
        *parents, last = key.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = yaml.safe_load(text)
    return _build(TrainConfig, values, "")
