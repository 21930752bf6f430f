"""How a run ends: by itself, by a signal or by an error, as status.json and the exit code of the process say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from loguru import logger

from app.training.loop.signals import StopRequest, stop_on_signal
from app.training.run_folder import FAILED, FINISHED, STOPPED, RunFiles


class Trainer(Protocol):
    """What runs, as far as its ending goes."""

    @property
    def step(self) -> int:
        """Optimiser steps done."""

    def run(self, stop: StopRequest | None = None) -> str | None:
        """Train; returns why it ended before the last step: "signal", another reason, or None. A run that was stopped
        has saved a checkpoint."""

    def report(self, state: Any, reason: str | None = None) -> None:
        """Replace status.json."""


def run_to_end(trainer: Trainer, files: RunFiles, finish: Callable[[str | None], str | None]) -> int:
    """Train, and say in status.json how it ended; returns the exit code.

    finish: called with why it ended, returns what status.json adds to "finished".
    """
    trainer.report("starting")
    try:
        with stop_on_signal() as stop:
            ended = trainer.run(stop)
        reason = finish(ended)
    except OSError as error:
        _fail(trainer, f"{error.strerror or error} ({error.filename})" if error.filename else str(error))
        logger.error("the run ends at step {}: {}", trainer.step, error)
        return FAILED
    except BaseException as error:
        _fail(trainer, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        raise
    finally:
        files.close()
    if ended == "signal":
        trainer.report("stopped", f"stopped by a signal after step {trainer.step}; --resume continues from there")
        return STOPPED
    trainer.report("finished", reason)
    return FINISHED


def _fail(trainer: Trainer, reason: str) -> None:
    try:
        trainer.report("failed", reason)
    except OSError as error:
        logger.error("status.json cannot say that the run failed ({}): {}", reason, error)
