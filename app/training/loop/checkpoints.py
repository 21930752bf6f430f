"""The checkpoints of a run: the last few and the best, each written atomically.

`RUN/checkpoints/step-00000400/` and `RUN/checkpoints/best/` hold state.safetensors (tensors) and state.json (the rest);
nothing is ever unpickled. A folder is written under a name that starts with a dot, flushed to the disk and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from app.pipeline.checkpoint import looks_pickled
from app.training.errors import ConfigError
from app.training.run_folder import STEP

FORMAT = 1
TENSORS, REST = "state.safetensors", "state.json"
BEST, _OLD_BEST, _PART = "best", ".best-old", ".part-"


class ResumeRefused(ConfigError):
    """A checkpoint of training is missing, damaged, or of another model, vocabulary or format; the message says what
    to do."""


@dataclass
class TrainingState:
    """Everything that the rest of a run depends on. Vocabulary and model are checked when a run is resumed."""

    step: int
    vocabulary: tuple[str, ...]
    model: dict[str, Any]
    """`ModelConfig.to_dict`."""
    tensors: dict[str, Tensor]
    """By name, on the CPU."""
    rest: dict[str, Any]
    """What JSON can hold."""


class CheckpointManager:
    """Keeps the last `keep` checkpoints in `folder`, and the best. One process writes, any number may read."""

    def __init__(self, folder: Path, keep: int = 5) -> None:
        self.folder, self.keep = folder, keep

    def clean(self) -> None:
        """Remove the leftovers of a killed writer. Only for the process that writes."""
        if (self.folder / _OLD_BEST).is_dir() and not (self.folder / BEST).exists():
            (self.folder / _OLD_BEST).rename(self.folder / BEST)
        for leftover in [*self.folder.glob(f"{_PART}*"), self.folder / _OLD_BEST]:
            shutil.rmtree(leftover, ignore_errors=True)
        self._trim()

    def steps(self) -> list[int]:
        """Steps of the checkpoints in the queue, oldest first."""
        return sorted(int(path.name.removeprefix(STEP)) for path in self.folder.glob(f"{STEP}*"))

    def path(self, step: int) -> Path:
        return self.folder / f"{STEP}{step:08d}"

    def save(self, state: TrainingState) -> Path:
        """Add to the queue, then drop what is too old. Raises OSError, with everything as it was, where it cannot be
        written."""
        target = self.path(state.step)
        part = self._write(state)
        if target.exists():  # the same step of a run that went on from an earlier one
            shutil.rmtree(target)
        part.rename(target)
        _flush_folder(self.folder)
        self._trim()
        return target

    def save_best(self, state: TrainingState) -> Path:
        """Replace the best. Raises OSError, with the former best as it was."""
        part = self._write(state)
        target, old = self.folder / BEST, self.folder / _OLD_BEST
        if target.exists():
            target.rename(old)
        part.rename(target)
        _flush_folder(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        return target

    def latest(self) -> Path | None:
        """The newest checkpoint of the queue."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def _trim(self) -> None:
        for step in self.steps()[: -self.keep]:
            gone = self.path(step)
            # Renamed first: a reader, or a kill in the middle, never meets half of one.
            part = self.folder / f"{_PART}{gone.name}"
            gone.rename(part)
            shutil.rmtree(part)

    def _write(self, state: TrainingState) -> Path:
        part = self.folder / f"{_PART}{state.step:08d}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        values = {
            "format": FORMAT,
            "step": state.step,
            "vocabulary": list(state.vocabulary),
            "model": state.model,
            **state.rest,
        }
        try:
            _write_flushed(part / TENSORS, save(state.tensors))
            _write_flushed(part / REST, (json.dumps(values, indent=1) + "\n").encode())
            _flush_folder(part)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return part


def load_state(folder: Path, vocabulary: tuple[str, ...], model: dict[str, Any]) -> TrainingState:
    """What `CheckpointManager` saved in `folder`. Raises ResumeRefused unless vocabulary and model are these."""
    path = folder / TENSORS
    try:
        values = json.loads((folder / REST).read_text(encoding="utf-8"))
        tensors = None if looks_pickled(path) else load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ResumeRefused(
            f"cannot read the checkpoint {folder}: {error}; remove that folder to continue from the one before"
        ) from error
    if tensors is None:
        raise ResumeRefused(
            f"{path} is a pickle (torch.save): it could run any code and is not loaded; only safetensors are"
        )
    if not isinstance(values, dict) or values.get("format") != FORMAT or not isinstance(values.get("model"), dict):
        raise ResumeRefused(f"{folder / REST} is not a checkpoint of this version of Glossline (format {FORMAT})")
    if tuple(values.get("vocabulary", ())) != vocabulary:
        raise ResumeRefused(
            f"the checkpoint {folder} was trained on {len(values.get('vocabulary', ()))} other glosses than this run's "
            f"{len(vocabulary)}; use the corpus and the glosses it was started with, or another --out"
        )
    if values["model"] != model:
        differ = sorted(k for k in {**model, **values["model"]} if model.get(k) != values["model"].get(k))
        raise ResumeRefused(
            f"the checkpoint {folder} is of another model (it differs in {', '.join(differ)}); use the settings it was "
            f"started with, or another --out"
        )
    rest = {k: v for k, v in values.items() if k not in ("format", "step", "vocabulary", "model")}
    return TrainingState(int(values["step"]), vocabulary, model, tensors, rest)


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as f:
        f.write(content)
        f.flush()
        os.fsync(f.fileno())


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
