from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.training_jobs.job_log import Verdict, log_chunk, log_tail, verdict


def say(run: Path, **status: Any) -> None:
    (run / "status.json").write_text(json.dumps(status))


def test_a_run_without_a_log(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "run").text == ""


@given(text=st.text(min_size=1, max_size=80), limit=st.integers(4, 40))
def test_pieces_of_the_log_are_the_log(tmp_path_factory: pytest.TempPathFactory, text: str, limit: int) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / "train.log").write_bytes(text.encode())
    read, offset = "", 0
    while (piece := log_chunk(run, offset, limit)).text:
        assert piece.offset == offset
        read, offset = read + piece.text, piece.next
    assert read == text
    assert offset == piece.size


def test_bytes_that_are_no_text_do_not_stop_a_reader(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\xff\xfe\xfd\xfc\xfb" * 10)
    offset = 0
    while (piece := log_chunk(tmp_path, offset, 16)).text:
        offset = piece.next
    assert offset == 50


def test_half_a_character_waits_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes("€".encode()[:2])
    assert (log_chunk(tmp_path, 0).text, log_chunk(tmp_path, 0).next) == ("", 0)
    (tmp_path / "train.log").write_bytes("€".encode())
    assert (log_chunk(tmp_path, 0).text, log_chunk(tmp_path, 0).next) == ("€", 3)


def test_the_tail_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\xff" * 100 + b"\nlast\xff\n")
    assert (log_tail(tmp_path, 1).text, log_tail(tmp_path, 1).offset) == ("last\ufffd\n", 101)
    assert log_tail(tmp_path, 5).offset == 0


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    lines = [f"line {i} é\n" for i in range(10_000)]
    (tmp_path / "train.log").write_text("".join(lines), encoding="utf-8")
    tail = log_tail(tmp_path, 3)
    assert tail.text == "".join(lines[-3:])
    assert log_chunk(tmp_path, tail.offset).text == tail.text
    assert tail.next == tail.size


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
        (2, "Traceback\nerror: no gloss UNICORN\nbye\n", "exit code 2. Last output: no gloss UNICORN"),
        (2, "error: 2 lines\n  line 2: x\n  line 3: y\nCorrect\n", "output: 2 lines line 2: x line 3: y"),
        (1, "error: no clip\nTraceback\n  File run.py\n", "output: no clip"),
        (1, "a\nRuntimeError: boom\n\n", "exit code 1. Last output: RuntimeError: boom"),
        (1, "", "exit code 1."),
        (-9, "", "SIGKILL"),
        (-11, "", "SIGSEGV."),
        (None, "half a li", "while no service process was watching it. Last output: half a li"),
    ],
)
def test_why_a_run_failed(tmp_path: Path, code: int | None, log: str, said: str) -> None:
    (tmp_path / "train.log").write_text(log)
    say(tmp_path, state="running")  # what a killed trainer leaves behind
    found = verdict(tmp_path, code, stop_asked=False)
    assert found.state == "failed"
    assert found.reason is not None
    assert said in found.reason
