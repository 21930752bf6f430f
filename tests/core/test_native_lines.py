"""Lines that native code writes to file descriptor 2, seen from outside the process."""

from __future__ import annotations

import json
import subprocess
import sys

from app.core.native_lines import native_line

PROGRAM = """
import os, subprocess, sys
from loguru import logger
from app.core.logging import configure_logging
from app.core.native_lines import native_lines_as_json
from app.core.settings import Settings

configure_logging(Settings(_env_file=None, log_json=True))
with native_lines_as_json():
    os.write(2, b"E0000 00:00:1732.123456   12 tcp_server.cc:40] bind failed\\nINFO: Created TensorFlow")
    os.write(2, b" Lite delegate\\n\\x1b[31mred\\n")
    logger.info("our own")
    print("Traceback of a thread\\n  second line", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "import sys; print('{\\"event\\": \\"child\\"}', file=sys.stderr)"])
    if len(sys.argv) > 1:
        logger.info("the last words")
        os.kill(os.getpid(), 9)
logger.info("after")
os.write(2, b"without a line break")
"""


def lines(*arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


def test_every_line_is_an_object_and_its_own_lines_are_there() -> None:
    *inside, last = lines()
    assert last == "without a line break"  # written after the block
    said = [json.loads(line) for line in inside]
    by_message = {line.get("message", line["event"]): line for line in said}
    refused = by_message["bind failed"]
    assert (refused["level"], refused["event"], refused["source"]) == ("ERROR", "native", "tcp_server.cc:40")
    assert by_message["Created TensorFlow Lite delegate"]["level"] == "INFO"
    assert by_message["\\x1b[31mred"]["event"] == "native"
    assert by_message["our own"]["logger"] == "__main__"
    assert {"Traceback of a thread", "  second line", "child", "after"} <= set(by_message)


def test_lines_of_a_killed_process_are_not_lost() -> None:
    assert any("the last words" in line for line in lines("killed"))


def test_a_line_that_only_looks_like_json_is_wrapped() -> None:
    assert json.loads(native_line("{half"))["message"] == "{half"
    assert json.loads(native_line("[1]"))["message"] == "[1]"
    assert json.loads(native_line("F1126 10:00:00.1 7 a/b.cc:1] dying"))["level"] == "CRITICAL"
    assert native_line('{"a": 1}') == '{"a": 1}\n'
