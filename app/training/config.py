"""A training run's settings: one YAML file, frozen dataclasses, unknown keys refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from app.pipeline.module3_sequence.losses import LossConfig
from app.pipeline.module3_sequence.model import ModelConfig
from app.training.corpora.boston104.splicing import BostonConfig
from app.training.corpora.signs.phrases import PhraseConfig


class ConfigError(ValueError):
    """A setting is unknown or of the wrong kind; the message names it."""


@dataclass(frozen=True)
class OptimConfig:
    """How a run goes; every value is checked when the object is made. Raises ConfigError.

    steps: optimiser steps; epochs: passes over the corpus instead, where it is not 0. batch_size: clips a step, over
    all processes; accumulate: parts that each process works off its share in, for less memory.
    warmup: share of the run in which the rate rises; cycles, milestones (shares of the rest) with gamma, and
    plateau_patience (evaluations) with gamma belong to the schedulers cosine, step and plateau.
    clip_norm: greatest norm of the gradient (0 = no clipping). ema: decay of the averaged weights that are kept
    (0 = off). amp: "auto" (or true) is bf16 on CUDA and fp32 on the CPU, "off" (or false), "bf16", "fp16" (CUDA only).
    compile: torch.compile. save_every, eval_every, log_every: steps. keep: checkpoints beside the best.
    patience: evaluations without a better dev WER until the run ends early (0 = never).
    """

    steps: int = 2600
    epochs: int = 0
    batch_size: int = 40
    accumulate: int = 1
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.01
    scheduler: Literal["one_cycle", "cosine", "plateau", "step"] = "one_cycle"
    warmup: float = 0.1
    cycles: int = 1
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    plateau_patience: int = 2
    clip_norm: float = 5.0
    ema: float = 0.998
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    compile: bool = False
    save_every: int = 200
    eval_every: int = 400
    log_every: int = 50
    keep: int = 5
    patience: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "cycles", "plateau_patience", "keep"):
            self._refuse(getattr(self, name) < 1, name, "at least 1")
        for name in ("save_every", "eval_every", "log_every"):
            self._refuse(getattr(self, name) < 1, name, "at least 1")
        for name in ("epochs", "patience", "seed", "weight_decay", "clip_norm"):
            self._refuse(getattr(self, name) < 0, name, "0 or more")
        for name in ("momentum", "ema", "warmup"):
            self._refuse(not 0 <= getattr(self, name) < 1, name, "from 0 to under 1")
        self._refuse(not 0 < self.learning_rate < math.inf, "learning_rate", "over 0")
        self._refuse(not 0 < self.gamma <= 1, "gamma", "over 0 and up to 1")
        self._refuse(not all(0 <= m <= 1 for m in self.milestones), "milestones", "shares of the run, 0 to 1")
        self._refuse(self.batch_size % self.accumulate != 0, "accumulate", f"a divisor of {self.batch_size} clips")

    def _refuse(self, wrong: bool, name: str, wanted: str) -> None:
        if wrong:
            raise ConfigError(f"optim.{name} should be {wanted}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class TrainConfig:
    """glosses: what to learn, empty = everything the corpus has; `without`: what not, "FS-*" for the letters.

    teacher_weight: of the distillation from the runs given as --teachers. dev_phrases: how many are composed of
    dev clips, of each of two kinds, for the dev figures of the signs corpus. boston104: only for that corpus.
    """

    name: str = "run"
    glosses: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
    phrases: PhraseConfig = field(default_factory=PhraseConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    teacher_weight: float = 1.0
    dev_phrases: int = 300
    boston104: BostonConfig = field(default_factory=BostonConfig)

    def model_config(self, labels: int, imposed: dict[str, Any] | None = None) -> ModelConfig:
        """The network for so many labels; `imposed` is what the corpus decides. Raises ConfigError."""
        try:
            return ModelConfig.from_dict({**self.model, **(imposed or {}), "labels": labels})
        except TypeError as error:
            raise ConfigError(f"model: {error}") from error

    def chosen(self, there: Set[str]) -> set[str]:
        """Those of a corpus' glosses that this run is about. Raises ConfigError for one that the corpus lacks."""
        missing = sorted((set(self.glosses) | set(self.without)) - there - {"FS-*"})
        if missing:
            raise ConfigError(f"the corpus has no training clip of {', '.join(missing)}")
        letters = {g for g in there if g.startswith("FS-")} if "FS-*" in self.without else set()
        return (set(self.glosses) or set(there)) - set(self.without) - letters


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
            built[key] = _checked(hints[key], value, where + key)
    return kind(**built)


def _checked(hint: Any, value: Any, where: str) -> Any:
    """The value as its type wants it. Raises ConfigError where it is another kind of thing."""
    if where == "optim.amp" and isinstance(value, bool):
        return "auto" if value else "off"  # YAML reads a bare off as false
    wrong = ConfigError(f"{where} should be {_described(hint)}, got {value!r}")
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise wrong
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise wrong
        if get_args(hint) == (str, ...) and not all(isinstance(v, str) for v in value):
            raise ConfigError(
                f"{where} should be a list of texts; YAML reads a bare YES or NO as true or false: quote it"
            )
        return tuple(value)
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a text
        except (TypeError, ValueError):
            raise wrong from None
    if hint in (int, bool, str) and type(value) is not hint:
        raise wrong
    if get_origin(hint) is dict and not isinstance(value, dict):
        raise wrong
    return value


def _described(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return "a list"
    if get_origin(hint) is dict:
        return "a mapping of settings"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(hint, "another thing")


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
            target = target.setdefault(parent, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise ConfigError(f"override {override!r}: {'.'.join(parents)} is no group of settings")
        try:
            target[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"override {override!r} is not YAML: {error}") from error
    return _build(TrainConfig, values, "")
