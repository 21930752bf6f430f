"""Starting the service: uvicorn's configuration, and the application it imports."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from app.core.logging import configure_logging, start_failure
from app.core.settings import Settings, SettingsError

#: Exit code of a process whose settings cannot be used.
WRONG_SETTINGS = 2
#: Seconds. While a worker loads its libraries it does not answer its supervisor, on a busy machine for over 5 s.
STARTING_S = 120


def serve(settings: Settings, workers: int = 1) -> None:
    """Run the service until it is stopped; limits on clients are set by `protect`, in each worker."""
    configure_logging(settings)  # for the lines of a process that only watches its workers
    uvicorn.run(
        "app.main:app",
        host=settings.host,
        port=settings.port,
        workers=workers,
        log_config=None,
        server_header=False,
        timeout_worker_healthcheck=STARTING_S,
    )


def built_or_exit(build: Callable[[], FastAPI]) -> FastAPI:
    """The result of `build`. An invalid setting ends the process with its message instead of a traceback."""
    try:
        return build()
    except SettingsError as problem:
        sys.stderr.write(start_failure(str(problem)))
        if multiprocessing.parent_process() is not None:
            # One of several workers: its supervisor would restart it again and again, with the same setting.
            os.kill(os.getppid(), signal.SIGTERM)
        sys.exit(WRONG_SETTINGS)
