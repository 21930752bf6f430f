"""The folder of a training run: what the trainer writes and what others read from it during the run.

Without PyTorch, so that the service reads with the code that the trainer writes with. Only status.json is of the
process that runs; log.jsonl of a resumed run has lines from before.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from app.pipeline.whole_files import write_whole

#: Exit codes of a training process.
FINISHED, FAILED, REFUSED, STOPPED = 0, 1, 2, 3
#: Files of a run: how far it is; its numbers, a line each; what it was; what it was trained on; curves; checkpoints.
STATUS, METRICS, RUN, DATA_REPORT = "status.json", "log.jsonl", "run.json", "data_report.json"
CURVES, CHECKPOINTS, FINAL = "tensorboard", "checkpoints", "final"
#: Name of a checkpoint's folder: this and the step, in eight digits.
STEP = "step-"

State = Literal["starting", "running", "finished", "failed", "stopped"]
_COUNTS = ("step", "steps", "epoch", "epochs")
#: Packages that training needs in addition to those of the service.
PACKAGES = ("tensorboard",)


def missing_packages() -> str | None:
    """What is not installed and how to install it, in two sentences; None where nothing is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"Training needs {', '.join(missing)}, which is not installed here. Install it with: "
        "python -m pip install -r requirements-train.txt"
    )


def write_json(path: Path, value: Any) -> None:
    """Replace `path` at once; a reader sees the old text or the new one."""
    write_whole(path, json.dumps(value, indent=1) + "\n")


class RunFiles:
    """Writes the files in `folder` for the first of several processes; for the others (`main` false) does nothing."""

    def __init__(self, folder: Path, main: bool = True, curves: bool = True) -> None:
        """curves: also write the numbers of log.jsonl for TensorBoard, which has to be installed."""
        self.folder, self.main, self.curves = folder, main, curves
        self._curves: Any = None
        self._status: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
        if main:
            folder.mkdir(parents=True, exist_ok=True)

    def json(self, name: str, value: Any) -> None:
        """Replace the file `name`."""
        if self.main:
            write_json(self.folder / name, value)

    def status(self, state: State, reason: str | None = None, **counts: int) -> None:
        """Replace status.json. counts: step, steps, epoch, epochs; what is not given stays."""
        self._status |= counts
        self.json(STATUS, {"state": state, **self._status, "reason": reason, "updated": _now()})

    def log(self, step: int, entry: dict[str, Any]) -> None:
        """Append a line to log.jsonl, and the numbers in it to TensorBoard."""
        if not self.main:
            return
        with (self.folder / METRICS).open("a", encoding="utf-8") as f:
            f.write(json.dumps(_finite({"time": _now(), "step": step, **entry})) + "\n")
        if not self.curves:
            return
        if self._curves is None:
            self._curves = self._writer()
        group = "dev" if "wer" in entry else "train"
        for name, value in entry.items():
            if isinstance(value, int | float):
                self._curves.add_scalar(f"{group}/{name}", value, step)

    def forget_after(self, step: int) -> None:
        """Drop log lines past a step: the run continues from there and writes them again."""
        path = self.folder / METRICS
        if not self.main or not path.is_file():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                continue  # a line that a kill cut short
        write_whole(path, "".join(kept))
        if self.curves:
            self._curves = self._writer(purge_step=step + 1)

    def _writer(self, **options: Any) -> Any:
        # Imported here: it takes seconds, which a refused run can save.
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / CURVES), **options)

    def close(self) -> None:
        if self._curves is not None:
            self._curves.close()


@dataclass(frozen=True, slots=True)
class MetricPage:
    """Lines of log.jsonl."""

    lines: list[dict[str, Any]]
    next: int
    """The line to ask for afterwards."""
    more: bool
    """Whether more lines are available."""


def read_status(run: Path) -> dict[str, Any]:
    """status.json; {} where there is none yet."""
    try:
        found = json.loads((run / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("state") in get_args(State) else {}


def progress(run: Path) -> dict[str, int]:
    """step, steps, epoch, epochs as far as this process has written them; {} before that."""
    status = read_status(run)
    return {key: status[key] for key in _COUNTS if isinstance(status.get(key), int)}


def has_started(run: Path) -> bool:
    """Whether this process has started training."""
    return read_status(run).get("state") in ("running", "finished")


def has_checkpoint(run: Path) -> bool:
    """Whether there is a checkpoint that --resume would continue from."""
    return any((run / CHECKPOINTS).glob(f"{STEP}*"))


def read_metrics(run: Path, since: int, limit: int) -> MetricPage:
    """Whole lines of log.jsonl, from line `since` (0 = first) on, at most `limit`."""
    lines: list[dict[str, Any]] = []
    try:
        with (run / METRICS).open(encoding="utf-8", errors="replace") as file:
            for place, line in enumerate(file):
                if not line.endswith("\n"):  # being written
                    break
                if place < since:
                    continue
                if len(lines) == limit:
                    return MetricPage(lines, place, True)
                try:
                    entry = json.loads(line, parse_constant=lambda _: None)
                except ValueError:
                    entry = None
                lines.append(entry if isinstance(entry, dict) else {})
    except FileNotFoundError:
        pass
    return MetricPage(lines, since + len(lines), False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _finite(value: Any) -> Any:
    """The value with null for what JSON cannot express: infinite numbers and NaN, such as a mean over nothing."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
