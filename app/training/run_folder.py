"""The files of a run that others read while it goes on: run.json, status.json, log.jsonl, TensorBoard, data report."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from app.pipeline.whole_files import write_whole

State = Literal["starting", "running", "finished", "failed", "stopped"]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` at once; a reader sees the old text or the new one."""
    write_whole(path, json.dumps(value, indent=1) + "\n")


def finite(value: Any) -> Any:
    """The value with null for what JSON has no word for: numbers that are infinite or none, a mean over nothing."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RunFiles:
    """Writes them in `folder` for the first of several processes; for the others (`main` false) does nothing."""

    def __init__(self, folder: Path, main: bool = True) -> None:
        self.folder, self.main = folder, main
        self._board: Any = None
        self._status: dict[str, Any] = {"step": 0, "steps": 0, "epoch": 0, "epochs": 0}
        if main:
            folder.mkdir(parents=True, exist_ok=True)

    def json(self, name: str, value: Any) -> None:
        if self.main:
            write_json(self.folder / name, value)

    def status(self, state: State, reason: str | None = None, **counts: int) -> None:
        """Replace status.json. counts: step, steps, epoch, epochs; what is not given stays."""
        self._status |= counts
        self.json("status.json", {"state": state, **self._status, "reason": reason, "updated": now()})

    def log(self, step: int, entry: dict[str, Any]) -> None:
        """Append a line to log.jsonl, and the numbers in it to TensorBoard."""
        if not self.main:
            return
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as f:
            f.write(json.dumps(finite({"time": now(), "step": step, **entry})) + "\n")
        group = "dev" if "wer" in entry else "train"
        for name, value in entry.items():
            if isinstance(value, int | float):
                self.board().add_scalar(f"{group}/{name}", value, step)

    def board(self) -> Any:
        if self._board is None:
            # Seconds of import that a refused run need not pay.
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"))
        return self._board

    def forget_after(self, step: int) -> None:
        """Drop log lines past a step: the run goes on from there and will write them again."""
        path = self.folder / "log.jsonl"
        if not self.main or not path.is_file():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                continue  # the line that a kill cut off
        write_whole(path, "".join(kept))
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()
