"""What a training request may contain. Names, never paths: no text from a client is opened as a file."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from app.core.ids import NAME
from app.training.kinds import ConfigKind

_KEY = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z][a-z0-9_]{0,40}){0,4}")
#: Settings that have a field of their own, and the field's name.
_FIELDS = {
    "optim.epochs": "num_epochs",
    "optim.batch_size": "batch_size",
    "optim.learning_rate": "learning_rate",
    "optim.seed": "seed",
}
MAX_OVERRIDES = 64
#: Settings that the trainer would open as a file, and the names that may be given for them.
_NAMED_FILES = {"model.rgb.weights": ("default",), "teachers": ()}


def _name_alone(value: object) -> object:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError(
            "not a valid name; datasets and configs are named (letters, digits, '.', '_', '-'), not given as a path"
        )
    return value


Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$"), BeforeValidator(_name_alone)]


class TrainingRequest(BaseModel):
    """A training run. Anything left out is taken from the config."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "dataset": "signs",
                    "config": "asl_everyday",
                    "num_epochs": 10,
                    "batch_size": 40,
                    "learning_rate": 0.0025,
                    "overrides": {"model.dropout": 0.3},
                    "nproc": 1,
                }
            ]
        },
    )

    dataset: Name = Field(
        validation_alias=AliasChoices("dataset", "data_dir"),
        description="Name of a folder in DATASETS_DIR (also accepted as `data_dir`).",
    )
    config: Name = Field(description="Name of a YAML file in CONFIGS_DIR, with or without its ending.")
    num_epochs: int | None = Field(None, ge=1, le=100_000, description="Passes over the dataset.")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="Clips in one step, over all processes.")
    learning_rate: float | None = Field(None, gt=0, le=10, allow_inf_nan=False, description="Highest learning rate.")
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        max_length=MAX_OVERRIDES,
        description="Other settings of the config, such as model.dropout: 0.3; values are numbers, strings, true, "
        "false, null or lists of these.",
    )
    nproc: int = Field(1, ge=1, le=64, description="Number of training processes.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$", description="auto, cpu, cuda or cuda:N.")
    gpu_sharing: Literal["share", "exclusive"] | None = Field(
        None,
        description="share: train on the GPU that the service uses, which slows both down. exclusive: only on GPUs "
        "that are not in use here. Unset: refused if training would use the service's GPU.",
    )
    seed: int | None = Field(None, ge=0, lt=2**31, description="Random seed.")

    @field_validator("overrides")
    @classmethod
    def _check_overrides(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, item in value.items():
            if not _KEY.fullmatch(key):
                raise ValueError(f"'{key[:60]}' is an unknown setting; examples are optim.steps and model.dropout")
            if key in _FIELDS:
                raise ValueError(f"'{key}' has a field of its own: {_FIELDS[key]}")
            for part in item if isinstance(item, list) else [item]:
                _check_value(key, part)
        return value

    def settings(self, kind: ConfigKind = "corpus") -> dict[str, Any]:
        """All changes to the config, by the setting names of its kind."""
        short = kind == "glosses"
        fields = {key.removeprefix("optim.") if short else key: getattr(self, f) for key, f in _FIELDS.items()}
        return {**{key: value for key, value in fields.items() if value is not None}, **self.overrides}


def _check_value(key: str, value: object) -> None:
    if isinstance(value, str):
        if len(value) > 200 or not value.isprintable():
            raise ValueError(f"'{key}': strings are limited to 200 printable characters")
        # A stage's own settings are named stages.NAME.SETTING.
        setting = key.split(".", 2)[-1] if key.startswith("stages.") else key
        if setting in _NAMED_FILES and value not in _NAMED_FILES[setting]:
            allowed = " or ".join([*_NAMED_FILES[setting], "null"])
            raise ValueError(f"'{key}': over the network only {allowed} is allowed")
        # Glosses may hold any character; everything else that looks like a path could be read as one.
        if key not in ("glosses", "without") and ("/" in value or "\\" in value or value.startswith((".", "~"))):
            raise ValueError(f"'{key}': paths cannot be given over the network")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"'{key}': the number is not finite")
    elif value is not None and not isinstance(value, (bool, int)):
        raise ValueError(f"'{key}': give a number, a string, true, false, null or a list of these")
