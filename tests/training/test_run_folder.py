"""What a run's folder tells while the run goes on, and that the writer's files are what the readers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.training import run_folder
from app.training.run_folder import RunFiles, progress, read_metrics, read_status


def say(run: Path, **status: Any) -> None:
    (run / "status.json").write_text(json.dumps(status))


def test_a_run_that_has_written_nothing_yet(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert progress(run) == {}
    assert not run_folder.has_started(run)
    assert read_metrics(run, 0, 10).lines == []
    assert not run_folder.has_checkpoint(run)


def test_progress_comes_from_the_status_alone(tmp_path: Path) -> None:
    # The lines of a resumed job are from the process before: this one has not begun.
    (tmp_path / "log.jsonl").write_text('{"step": 50, "ctc": 1.0}\n{"step": 100, "ctc": 0.5}\n{"step": 15')
    assert progress(tmp_path) == {}
    assert not run_folder.has_started(tmp_path)
    say(tmp_path, state="starting", step=0, steps=200, epoch=0, epochs=2, reason=None)
    assert not run_folder.has_started(tmp_path)
    say(tmp_path, state="running", step=120, steps=200, epoch=1, epochs=2, reason=None)
    assert progress(tmp_path) == {"step": 120, "steps": 200, "epoch": 1, "epochs": 2}
    assert run_folder.has_started(tmp_path)
    (tmp_path / "status.json").write_text("[1]")
    assert progress(tmp_path) == {}


def test_numbers_come_in_pieces_and_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\nnot json\n{"step": 3, "wer": NaN}\n{"step": 4, "wer": 0.5}\n{"ste')
    first = read_metrics(tmp_path, 0, 2)
    assert (first.lines, first.next, first.more) == ([{"step": 1}, {}], 2, True)
    rest = read_metrics(tmp_path, first.next, 10)
    assert (rest.lines, rest.next, rest.more) == ([{"step": 3, "wer": None}, {"step": 4, "wer": 0.5}], 4, False)
    assert read_metrics(tmp_path, 99, 10).lines == []


def test_readers_read_what_the_writer_wrote(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    files.status("running", step=3, steps=10, epoch=1, epochs=4)
    files.log(3, {"ctc": 1.5, "spread": float("inf")})
    files.close()
    assert read_status(tmp_path)["state"] == "running"
    assert progress(tmp_path) == {"step": 3, "steps": 10, "epoch": 1, "epochs": 4}
    (line,) = read_metrics(tmp_path, 0, 10).lines
    assert (line["step"], line["ctc"], line["spread"]) == (3, 1.5, None)
    assert list((tmp_path / "tensorboard").iterdir())


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "run", main=False)
    files.status("running", step=3)
    files.log(3, {"ctc": 1.5})
    files.close()
    assert not (tmp_path / "run").exists()
