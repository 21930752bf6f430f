"""Programs of the system: where they are, and rows of them that stay alive between texts."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence

from app.speech.engines import EngineFailed

#: Bytes that one answer may have.
MAX_ANSWER = 4 << 20


def found(name: str) -> str | None:
    """Path of a program, None if it is not installed."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/local/bin")


class Pipeline:
    """Programs joined by pipes that answer each NUL-terminated text with another one. Not thread-safe.

    No shell is involved. If one of them dies or does not answer in time, all are ended.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        """Raises EngineFailed if a program cannot be started."""
        self._processes: list[subprocess.Popen[bytes]] = []
        source: int | None = None
        try:
            for command in commands:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if source is None else source,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                )
                if source is not None:
                    os.close(source)
                assert process.stdout is not None
                source = os.dup(process.stdout.fileno())
                process.stdout.close()
                self._processes.append(process)
        except OSError as problem:
            if source is not None:
                os.close(source)
            self._end()
            raise EngineFailed(f"The translation programs cannot be started: {problem.strerror}.") from problem
        assert source is not None
        assert self._processes[0].stdin is not None
        self._out, self._in = source, self._processes[0].stdin.fileno()
        os.set_blocking(self._in, False)
        self._closed = False

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    @property
    def alive(self) -> bool:
        return not self._closed and all(process.poll() is None for process in self._processes)

    def ask(self, text: bytes, timeout_s: float) -> bytes:
        """The answer to a text without NUL. Raises EngineFailed; the pipeline is closed then."""
        try:
            return self._ask(text + b"\0", time.monotonic() + timeout_s)
        except OSError as problem:
            self.close()
            raise EngineFailed(f"The translation programs do not answer: {problem.strerror}.") from problem
        except EngineFailed:
            self.close()
            raise

    def _ask(self, rest: bytes, deadline: float) -> bytes:
        answer = bytearray()
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise EngineFailed("The translation was not ready in time.")
            readable, writable, _ = select.select([self._out], [self._in] if rest else [], [], left_s)
            if writable:
                rest = rest[os.write(self._in, rest[:4096]) :]
            if readable:
                piece = os.read(self._out, 1 << 16)
                if not piece:
                    raise EngineFailed("The translation programs ended.")
                answer += piece
                if answer.endswith(b"\0"):
                    return bytes(answer[:-1])
                if len(answer) > MAX_ANSWER:
                    raise EngineFailed("The translation programs wrote too much.")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._out)
            self._end()

    def _end(self) -> None:
        for process in self._processes:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            with contextlib.suppress(OSError):
                process.kill()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)


def run(command: Sequence[str], text: bytes, timeout_s: float) -> bytes:
    """What a program writes to its standard output for this input. Raises EngineFailed."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"{os.path.basename(command[0])} was not ready within {timeout_s:g} s.") from None
    except OSError as problem:
        raise EngineFailed(f"{os.path.basename(command[0])} cannot be started: {problem.strerror}.") from problem
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[:200]
        raise EngineFailed(f"{os.path.basename(command[0])} ended with {done.returncode}: {said}.")
    return done.stdout
