from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.training_jobs import run_folder
from app.services.training_jobs.run_folder import Verdict, log_piece, log_tail, numbers, progress, verdict


def say(run: Path, **status: Any) -> None:
    (run / "status.json").write_text(json.dumps(status))


def test_a_run_that_has_written_nothing_yet(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert progress(run) == {}
    assert not run_folder.begun(run)
    assert numbers(run, 0, 10).lines == []
    assert log_tail(run).text == ""


def test_progress_comes_from_the_status_alone(tmp_path: Path) -> None:
    # The lines of a resumed job are from the process before: this one has not begun.
    (tmp_path / "log.jsonl").write_text('{"step": 50, "ctc": 1.0}\n{"step": 100, "ctc": 0.5}\n{"step": 15')
    assert progress(tmp_path) == {}
    assert not run_folder.begun(tmp_path)
    say(tmp_path, state="starting", step=0, steps=200, epoch=0, epochs=2, reason=None)
    assert not run_folder.begun(tmp_path)
    say(tmp_path, state="running", step=120, steps=200, epoch=1, epochs=2, reason=None)
    assert progress(tmp_path) == {"step": 120, "steps": 200, "epoch": 1, "epochs": 2}
    assert run_folder.begun(tmp_path)
    (tmp_path / "status.json").write_text("[1]")
    assert progress(tmp_path) == {}


def test_numbers_come_in_pieces_and_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\nnot json\n{"step": 3, "wer": NaN}\n{"step": 4, "wer": 0.5}\n{"ste')
    first = numbers(tmp_path, 0, 2)
    assert (first.lines, first.next, first.more) == ([{"step": 1}, {}], 2, True)
    rest = numbers(tmp_path, first.next, 10)
    assert (rest.lines, rest.next, rest.more) == ([{"step": 3, "wer": None}, {"step": 4, "wer": 0.5}], 4, False)
    assert numbers(tmp_path, 99, 10).lines == []


@given(text=st.text(min_size=1, max_size=80), limit=st.integers(4, 40))
def test_pieces_of_the_log_are_the_log(tmp_path_factory: pytest.TempPathFactory, text: str, limit: int) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / "train.log").write_bytes(text.encode())
    read, offset = "", 0
    while (piece := log_piece(run, offset, limit)).text:
        assert piece.offset == offset
        read, offset = read + piece.text, piece.end
    assert read == text
    assert offset == piece.size


def test_bytes_that_are_no_text_do_not_stop_a_reader(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\xff\xfe\xfd\xfc\xfb" * 10)
    offset = 0
    while (piece := log_piece(tmp_path, offset, 16)).text:
        offset = piece.end
    assert offset == 50


def test_half_a_character_waits_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes("€".encode()[:2])
    assert (log_piece(tmp_path, 0).text, log_piece(tmp_path, 0).end) == ("", 0)
    (tmp_path / "train.log").write_bytes("€".encode())
    assert (log_piece(tmp_path, 0).text, log_piece(tmp_path, 0).end) == ("€", 3)


def test_the_tail_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\xff" * 100 + b"\nlast\xff\n")
    assert (log_tail(tmp_path, 1).text, log_tail(tmp_path, 1).offset) == ("last\ufffd\n", 101)
    assert log_tail(tmp_path, 5).offset == 0


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    lines = [f"line {i} é\n" for i in range(10_000)]
    (tmp_path / "train.log").write_text("".join(lines), encoding="utf-8")
    tail = log_tail(tmp_path, 3)
    assert tail.text == "".join(lines[-3:])
    assert log_piece(tmp_path, tail.offset).text == tail.text
    assert tail.end == tail.size


@pytest.mark.parametrize(
    ("code", "asked", "status", "expected"),
    [
        (0, False, {}, Verdict("finished", None)),
        (0, True, {}, Verdict("finished", None)),
        (None, False, {"state": "finished"}, Verdict("finished", None)),
        (3, False, {"state": "stopped", "reason": "SIGTERM"}, Verdict("stopped", "SIGTERM")),
        (-15, True, {}, Verdict("stopped", None)),
        (None, False, {"state": "stopped"}, Verdict("stopped", None)),
        (1, False, {"state": "failed", "reason": "disk full"}, Verdict("failed", "disk full")),
    ],
)
def test_how_a_run_ended(
    tmp_path: Path, code: int | None, asked: bool, status: dict[str, Any], expected: Verdict
) -> None:
    if status:
        say(tmp_path, **status)
    assert verdict(tmp_path, code, asked) == expected


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (2, "Traceback\nerror: no gloss UNICORN\nbye\n", "exit code 2. Its last words: no gloss UNICORN"),
        (2, "error: 2 lines\n  line 2: x\n  line 3: y\nCorrect\n", "words: 2 lines line 2: x line 3: y"),
        (1, "error: no clip\nTraceback\n  File run.py\n", "words: no clip"),
        (1, "a\nRuntimeError: boom\n\n", "exit code 1. Its last words: RuntimeError: boom"),
        (1, "", "exit code 1."),
        (-9, "", "SIGKILL"),
        (-11, "", "SIGSEGV."),
        (None, "half a li", "while nobody watched it. Its last words: half a li"),
    ],
)
def test_why_a_run_failed(tmp_path: Path, code: int | None, log: str, said: str) -> None:
    (tmp_path / "train.log").write_text(log)
    say(tmp_path, state="running")  # what a killed trainer leaves behind
    found = verdict(tmp_path, code, stop_asked=False)
    assert found.state == "failed"
    assert found.reason is not None
    assert said in found.reason
