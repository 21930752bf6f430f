"""A training run's settings: one YAML file, frozen dataclasses, unknown keys refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml
from loguru import logger

from app.pipeline.module3_sequence.losses import LossConfig
from app.pipeline.module3_sequence.model import ModelConfig
from app.training.augment import AugmentConfig
from app.training.errors import ConfigError
from app.training.kinds import read_yaml

T = TypeVar("T")

#: Most steps between two evaluations, and between two log lines, where the config leaves them to the corpus' size.
EVAL_STEPS, LOG_STEPS = 400, 50

#: Settings that have moved to another section; configs and overrides that name the old place still work.
_MOVED = {
    f"phrases.{name}": f"augment.{name}"
    for name in ("mirror", "rotation", "scale", "shift", "jitter", "hand_rotation", "hand_dropout", "frame_dropout")
} | {"phrases.low_rate": "augment.low_rate", "phrases.phrase_speed": "augment.speed"}


@dataclass(frozen=True)
class OptimConfig:
    """Optimisation settings; every value is checked when the object is created. Raises ConfigError."""

    steps: int = 2600
    """Optimiser steps, where `epochs` is 0."""
    epochs: int = 0
    """Passes over the corpus; 0 = go by `steps`."""
    batch_size: int = 40
    """Clips a step, over all processes."""
    accumulate: int = 1
    """Parts in which each process computes its share of a batch, to save memory."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    """Of sgd."""
    learning_rate: float = 2.5e-3
    """At the peak."""
    weight_decay: float = 0.01
    """Of matrices; biases, norms and single numbers do not decay."""
    scheduler: Literal["one_cycle", "cosine", "plateau", "step"] = "one_cycle"
    warmup: float = 0.1
    """Share of the run in which the rate rises."""
    cycles: int = 1
    """cosine: falls of the rate from the peak, with a warm restart before each but the first."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """step: where the rate drops, as shares of what follows the warm-up."""
    gamma: float = 0.1
    """step, plateau: what the rate is multiplied with at a drop."""
    plateau_patience: int = 2
    """plateau: evaluations without a better dev WER until the rate drops."""
    clip_norm: float = 5.0
    """Greatest norm of the gradient; 0 = no clipping."""
    ema: float = 0.998
    """Decay of the averaged weights, which are evaluated and kept; 0 = the weights themselves."""
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """auto (or true): bf16 on CUDA and fp32 on the CPU; off (or false); bf16; fp16 (CUDA only)."""
    compile: bool = False
    """torch.compile."""
    save_every: int = 200
    """Steps between checkpoints."""
    eval_every: int = 0
    """Steps between evaluations on dev; 0 = about an epoch, see `for_corpus`."""
    log_every: int = 0
    """Steps between log lines; 0 = by the length of an epoch, see `for_corpus`."""
    keep: int = 5
    """Checkpoints kept beside the best."""
    patience: int = 0
    """Evaluations without a better dev WER until the run ends early; 0 = never."""
    seed: int = 1
    """Of weights, dropout and batches."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "cycles", "plateau_patience", "keep", "save_every"):
            self._refuse(getattr(self, name) < 1, name, "at least 1")
        for name in ("eval_every", "log_every", "epochs", "patience", "seed", "weight_decay", "clip_norm"):
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

    def for_corpus(self, epoch_steps: int) -> OptimConfig:
        """These settings with `steps`, `eval_every` and `log_every` as they are for a corpus of such epochs.

        By default, evaluations and log lines come once an epoch, but not more than fifty times a run and not further
        apart than 400 and 50 steps, so that small corpora get curves and large ones regular figures.
        """
        steps = self.epochs * epoch_steps or self.steps
        apart = max(epoch_steps, -(-steps // 50))
        return replace(
            self,
            steps=steps,
            eval_every=self.eval_every or min(apart, EVAL_STEPS),
            log_every=self.log_every or min(apart, LOG_STEPS),
        )


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run except those of its corpus, which reads its own sections of the file (`own`)."""

    name: str = "run"
    description: str = ""
    """What the config is for and which corpora it fits, in a sentence or two."""
    glosses: tuple[str, ...] = ()
    """Glosses to learn; empty = all of the corpus."""
    without: tuple[str, ...] = ()
    """Glosses to exclude; "FS-*" for the fingerspelled letters."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of `ModelConfig`."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    teacher_weight: float = 1.0
    """Of the distillation from the runs given as --teachers."""
    before_weight: float = 0.0
    """Where --init adds glosses: weight of what its network says of those it knew, on every clip of this run (learning
    without forgetting, Li and Hoiem, 2016, arXiv:1606.09282)."""
    rehearse: int = 0
    """Where --init adds glosses: how often an epoch has the prototype signer's performance of each that it knew, so
    that new ones are told from them."""
    frozen: tuple[str, ...] = ()
    """Parts of the network that stay as --init has them: pose, convolution, sequence."""
    sections: Mapping[str, Any] = field(default_factory=dict)
    """The file's other sections: settings of corpora, as parsed from YAML."""

    def own(self, kind: type[T]) -> T:
        """A corpus' own settings: a dataclass whose fields are sections of the file. Raises ConfigError."""
        names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        return build(kind, {key: value for key, value in self.sections.items() if key in names}, "")

    def model_config(
        self, labels: int, imposed: dict[str, Any] | None = None, kind: type[ModelConfig] = ModelConfig
    ) -> ModelConfig:
        """The network for `labels` labels; `imposed` and `kind` come from the corpus. Raises ConfigError."""
        try:
            return kind.from_dict({**self.model, **(imposed or {}), "labels": labels})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model: {error}") from error

    def chosen(self, there: Set[str]) -> set[str]:
        """The corpus' glosses that this run learns. Raises ConfigError for one that the corpus lacks."""
        missing = sorted((set(self.glosses) | set(self.without)) - there - {"FS-*"})
        if missing:
            raise ConfigError(f"the corpus has no training clip of {', '.join(missing)}")
        letters = {g for g in there if g.startswith("FS-")} if "FS-*" in self.without else set()
        return (set(self.glosses) or set(there)) - set(self.without) - letters


def build(kind: Any, values: Any, where: str) -> Any:
    """A dataclass from parsed YAML; where: prefix of its settings' names. Raises ConfigError for unknown names and
    wrong types."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where} should be a mapping of settings, got {values!r}")
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"unknown setting {where}{unknown[0]}; known: {', '.join(sorted(hints))}")
    built = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(hints[key]):
            built[key] = build(hints[key], value, f"{where}{key}.")
        else:
            built[key] = _checked(hints[key], value, where + key)
    return kind(**built)


def _checked(hint: Any, value: Any, where: str) -> Any:
    """The value as its type wants it. Raises ConfigError where it is of a different type."""
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
                f"{where} should be a list of strings; YAML reads a bare YES or NO as true or false: quote it"
            )
        return tuple(value)
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a string
        except (TypeError, ValueError):
            raise wrong from None
    if hint in (int, bool, str) and type(value) is not hint:
        raise wrong
    if get_origin(hint) is dict and not isinstance(value, dict):
        raise wrong
    return value


def _described(hint: Any) -> str:
    kind = get_origin(hint) or hint
    if kind is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", tuple: "a list"}
    return (names | {dict: "a mapping of settings"}).get(kind, "of a different type")


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML config; `overrides` are "optim.steps=100"-like strings, values in YAML. Raises ConfigError.

    An override of `optim.steps` switches the config's `optim.epochs` off, and says so. Sections that are not fields of
    TrainConfig are left to the corpus; `app.training.corpora.opening` refuses those that no corpus knows.
    """
    values = read_yaml(path)
    if (kind := values.pop("kind", "corpus")) != "corpus":
        raise ConfigError(f"{path} is of kind {kind}; here a config of one corpus is needed (kind: corpus, or no kind)")
    _move(values, path)
    changes = dict(parsed(override) for override in overrides)
    if changes.get("optim.steps") is not None and not changes.get("optim.epochs"):
        optim = values.get("optim")
        if isinstance(optim, dict) and optim.pop("epochs", 0):
            logger.info("optim.steps={} overrides optim.epochs of {}", changes["optim.steps"], path.name)
    elif "optim.steps" in changes:
        raise ConfigError("optim.steps and optim.epochs were both given, but each sets the length of the run; give one")
    for key, value in changes.items():
        put(values, key, value)
    known = {f.name for f in dataclasses.fields(TrainConfig)} - {"sections"}
    config: TrainConfig = build(TrainConfig, {key: value for key, value in values.items() if key in known}, "")
    return replace(config, sections={key: value for key, value in values.items() if key not in known})


def _move(values: dict[str, Any], path: Path) -> None:
    """Put settings under an old name where they are now, in place. Raises ConfigError for one given under both."""
    for old, new in _MOVED.items():
        (section, name), (now, new_name) = old.split("."), new.split(".")
        if isinstance(values.get(section), dict) and name in values[section]:
            if new_name in (values.get(now) or {}):
                raise ConfigError(f"{path} has both {new} and its old name {old}; remove {old}")
            put(values, new, values[section].pop(name))


def parsed(override: str) -> tuple[str, Any]:
    """Key and value of "optim.steps=100". Raises ConfigError."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r} should look like optim.steps=100")
    try:
        return _MOVED.get(key, key), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r} is not YAML: {error}") from error


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set values["a"]["b"] for the key "a.b", with groups made as needed. Raises ConfigError."""
    target: Any = values
    *parents, last = key.split(".")
    for parent in parents:
        target = target.setdefault(parent, {}) if isinstance(target, dict) else None
    if not isinstance(target, dict):
        raise ConfigError(f"override {key!r}: {'.'.join(parents)} is not a group of settings")
    target[last] = value
