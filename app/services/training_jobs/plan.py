"""From the request to what will run: folders looked up by name, the argument list, the GPUs that it would use."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from app.core.errors import GpuInUse, InvalidRequest, TrainingUnavailable, UnknownConfig, UnknownDataset
from app.core.ids import config_names, dataset_names
from app.core.settings import Settings
from app.services.training_jobs.request import TrainingRequest
from app.training.kinds import ConfigKind, config_kind
from app.training.run_folder import missing_packages


@dataclass(frozen=True, slots=True)
class Plan:
    """The run to start."""

    command: list[str]
    """Argument list of the process."""
    gpus: tuple[int, ...]
    """Indices of the CUDA GPUs that it uses; () on the CPU."""

    @property
    def device(self) -> str:
        return ",".join(f"cuda:{gpu}" for gpu in self.gpus) or "cpu"


def new_id(request: TrainingRequest) -> str:
    """A name that sorts by time and is a valid checkpoint id."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{request.config.removesuffix('.yaml')[:36]}-{moment}-{secrets.token_hex(2)}"


def make_plan(settings: Settings, request: TrainingRequest, run: Path, *, resume: bool = False) -> Plan:
    """Raises UnknownDataset, UnknownConfig, InvalidRequest, TrainingUnavailable."""
    if missing := missing_packages():
        raise TrainingUnavailable(missing)
    config, data = _config(settings.configs_dir, request.config), _dataset(settings.datasets_dir, request.dataset)
    kind = _kind(config)
    if kind == "glosses" and request.num_epochs is not None:
        raise InvalidRequest(
            f"num_epochs: the config '{config.stem}' counts steps, not passes over a dataset; leave num_epochs out, "
            f"and give the overrides 'steps' or 'seconds' instead."
        )
    gpus = _gpus(request)
    device = "cpu" if not gpus else "cuda" if request.nproc > 1 else f"cuda:{gpus[0]}"
    command = [sys.executable, "-m"]
    if request.nproc > 1:
        command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(request.nproc), "-m"]
    command += ["app", "train", "--config", str(config), "--data", str(data), "--out", str(run), "--device", device]
    if resume:
        command.append("--resume")
    changes = [f"{key}={_yaml(value)}" for key, value in request.settings(kind).items()]
    return Plan([*command, *(["--set", *changes] if changes else [])], gpus)


def config_descriptions(folder: Path) -> dict[str, str]:
    """The configs in `folder` by name, each with its `description`; "" where it has none or cannot be read."""

    def description(name: str) -> str:
        try:
            values = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return ""
        return str(values.get("description", "")) if isinstance(values, dict) else ""

    return {name: description(name) for name in config_names(folder)}


def check_gpus(plan: Plan, request: TrainingRequest, serving: str | None, training: Iterable[str]) -> None:
    """Refuse a job that would compete for a GPU. serving: device of the recogniser; training: those of other jobs.
    Raises GpuInUse."""
    wanted = {f"cuda:{gpu}" for gpu in plan.gpus}
    if not wanted:
        return
    if serving in wanted and request.gpu_sharing != "share":
        raise GpuInUse(
            f"This job would run on {plan.device}, and the service uses {serving}"
            + (", so it cannot have it exclusively" if request.gpu_sharing == "exclusive" else "")
            + ". Request device 'cpu' or another GPU, or gpu_sharing 'share' if both may be slower and the memory "
            "is enough for both; or run the service with DEVICE=cpu."
        )
    taken = wanted & {gpu for device in training for gpu in device.split(",")}
    if taken and request.gpu_sharing != "share":
        raise GpuInUse(
            f"Another job trains on {', '.join(sorted(taken))}. Wait for it, request another GPU, or gpu_sharing "
            "'share' if the memory is enough for both."
        )


def _dataset(folder: Path, name: str) -> Path:
    known = dataset_names(folder)
    if name not in known:
        raise UnknownDataset(
            f"There is no dataset '{name}' in DATASETS_DIR ({_list(known)}). A dataset is a folder there that "
            "holds its table, clips.csv for example, or folders that do; links are not followed."
        )
    return folder.resolve() / name


def _config(folder: Path, name: str) -> Path:
    known, name = config_names(folder), name.removesuffix(".yaml")
    if name not in known:
        raise UnknownConfig(f"There is no config '{name}' in CONFIGS_DIR ({_list(known)}).")
    return folder.resolve() / f"{name}.yaml"


def _kind(config: Path) -> ConfigKind:
    try:
        return config_kind(config)
    except ValueError:  # the message has the path
        raise InvalidRequest(
            f"config: '{config.stem}' cannot be used: it should be a mapping of settings in YAML, with kind: glosses "
            f"or without a kind."
        ) from None


def _list(known: list[str]) -> str:
    return f"available: {', '.join(known[:20])}" if known else "there is none"


def _gpus(request: TrainingRequest) -> tuple[int, ...]:
    if request.device == "cpu":
        return ()
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if request.device == "auto" and not count:
        return ()
    first = int(request.device.partition(":")[2] or 0)
    if not count or first >= count:
        raise InvalidRequest(f"device: '{request.device}' is not available; this machine has {count} CUDA GPUs.")
    if request.nproc == 1:
        return (first,)
    if first:
        raise InvalidRequest(
            "device: with nproc over 1, each process uses one GPU, starting with the first; write 'cuda'."
        )
    if request.nproc > count:
        raise InvalidRequest(f"nproc: {request.nproc} processes need as many GPUs, and there are {count}.")
    return tuple(range(request.nproc))


def _yaml(value: Any) -> str:
    """In the trainer's YAML: JSON except for small numbers (1e-05 would be a string in YAML)."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
