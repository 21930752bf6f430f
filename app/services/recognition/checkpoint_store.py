"""The checkpoints on this machine, by id: those in CHECKPOINT_DIR and those made by training runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.core.errors import CheckpointRefused
from app.core.ids import NAME
from app.core.settings import Settings, SettingsError
from app.pipeline.checkpoint import (
    KEYPOINTS,
    CheckpointConfig,
    CheckpointError,
    OtherKeypoints,
    looks_pickled,
    read_config,
)
from app.training.run_folder import FINAL

#: Files with pickled weights, which can execute arbitrary code when they are opened.
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A checkpoint on the disk."""

    id: str
    folder: Path
    source: Literal["shipped", "run"]
    """'shipped': in CHECKPOINT_DIR; 'run': the `final` of a training run."""


def _is_complete(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file() and (folder / "config.json").is_file()


def configured_checkpoint(settings: Settings) -> CheckpointEntry:
    """The one that CHECKPOINT names, whether it exists or not."""
    return CheckpointEntry(settings.checkpoint, settings.checkpoint_path, "shipped")


def checkpoint_ids(folder: Path) -> list[str]:
    """Ids of the folders with weights and a config, sorted; [] if the folder is missing."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if NAME.fullmatch(entry.name) and _is_complete(entry))


def check_checkpoint(settings: Settings) -> None:
    """Raise SettingsError, listing what is available, when the checkpoint of the settings does not exist."""
    ids = checkpoint_ids(settings.checkpoint_dir)
    if settings.checkpoint in ids:
        return
    there = f"available: {', '.join(ids)}" if ids else "it contains none"
    raise SettingsError(
        f"CHECKPOINT={settings.checkpoint}: no such checkpoint in {settings.checkpoint_dir} ({there}). "
        "Set CHECKPOINT to one of these, or CHECKPOINT_DIR to the folder that holds yours; a checkpoint is a folder "
        "with model.safetensors and config.json. If files of this repository are missing, "
        "`git checkout -- checkpoints` restores them."
    )


def stored_checkpoints(settings: Settings) -> list[CheckpointEntry]:
    """All checkpoints, shipped ones first, each by id; of two with the same id the shipped one is used."""
    shipped, folder = checkpoint_ids(settings.checkpoint_dir), settings.checkpoint_dir
    runs = sorted(settings.runs_dir.iterdir(), reverse=True) if settings.runs_dir.is_dir() else []
    return [CheckpointEntry(name, folder / name, "shipped") for name in shipped] + [
        CheckpointEntry(run.name, run / FINAL, "run")
        for run in runs
        if run.name not in shipped and NAME.fullmatch(run.name) and _is_complete(run / FINAL)
    ]


def find_checkpoint(settings: Settings, checkpoint: str) -> CheckpointEntry | None:
    """The one with this id, including incomplete ones: whether it can be used is checked afterwards."""
    if not NAME.fullmatch(checkpoint):
        return None
    places = (
        CheckpointEntry(checkpoint, settings.checkpoint_dir / checkpoint, "shipped"),
        CheckpointEntry(checkpoint, settings.runs_dir / checkpoint / FINAL, "run"),
    )
    return next((entry for entry in places if entry.folder.is_dir()), None)


def check_usable(entry: CheckpointEntry) -> CheckpointConfig:
    """Its config. Raises CheckpointRefused for pickles, damaged files and what another kind of recogniser needs."""
    try:
        _check_files(entry)
        return read_config(entry.folder)
    except OtherKeypoints as problem:
        raise CheckpointRefused(
            f"'{entry.id}' reads keypoints of the kind '{problem.keypoints}'; this service has '{KEYPOINTS}'. Use a "
            "checkpoint that was trained on those."
        ) from problem
    except (CheckpointError, OSError) as problem:
        raise refused(entry, problem) from problem


def _check_files(entry: CheckpointEntry) -> None:
    """Raises CheckpointRefused, OSError."""
    weights = entry.folder / "model.safetensors"
    pickles = sorted(path.name for path in entry.folder.iterdir() if path.suffix in _PICKLES)
    if not weights.is_file():
        raise CheckpointRefused(
            f"'{entry.id}' contains pickled weights ({', '.join(pickles)}), which are never opened: pickles can run "
            "code. Save the weights as model.safetensors."
            if pickles
            else f"'{entry.id}' contains no model.safetensors: it is incomplete. Copy it again, or wait until its "
            "training has written it."
        )
    if looks_pickled(weights):
        raise CheckpointRefused(
            f"The file model.safetensors of '{entry.id}' is a pickle under another name. Pickles are never opened: "
            "they can run code. Save the weights with safetensors."
        )


def refused(entry: CheckpointEntry, problem: Exception) -> CheckpointRefused:
    """What is wrong with a checkpoint, without its path on this machine."""
    said = str(problem).replace(str(entry.folder), entry.id).replace(str(entry.folder.parent), "its folder")
    return CheckpointRefused(f"'{entry.id}' cannot be used: {said.rstrip('.')}.")


def described(entry: CheckpointEntry) -> dict[str, Any]:
    """sign_language, glosses and word error rate of a checkpoint, None where unknown; problem: why it
    cannot be used."""
    try:
        config = check_usable(entry)
    except CheckpointRefused as problem:
        return {"sign_language": None, "glosses": None, "wer": None, "problem": problem.detail}
    found = config.provenance.get("wer")
    wer = found if isinstance(found, float) and math.isfinite(found) else None
    return {"sign_language": config.sign_language, "glosses": list(config.vocabulary), "wer": wer, "problem": None}
