"""A job's log as it is written, for somebody who watches: pieces of it, changes of state, the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

from app.core.errors import DatabaseUnavailable
from app.db.models.training import ACTIVE
from app.services.training_jobs import job_log
from app.services.training_jobs.service import TrainingJobs

#: How often the log is looked at, and how often the state.
LOOK_S = 0.3
STATE_S = 1.0
#: Proxies close what is silent; nobody is held on to for ever.
SILENCE_S = 15.0
LONGEST_S = 3600.0
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something new about a job."""

    kind: Literal["log", "state", "end", "silence"]
    """'end' is the last state; 'silence' keeps the connection alive."""
    offset: int
    """Bytes of the log that have been sent by then: where to go on after a lost connection."""
    data: dict[str, Any]
    """log: {"text"}; state, end: {"state", "reason", "progress"}; silence: {}."""


async def follow(jobs: TrainingJobs, job_id: str, offset: int) -> AsyncIterator[JobEvent]:
    """From byte `offset` of the log on, until the job ends, the service stops, or an hour has passed."""
    run = jobs.run_folder(job_id)
    began = told = time.monotonic()
    looked, shown, ended = -STATE_S, None, False
    while time.monotonic() - began < LONGEST_S and not jobs.closing.is_set():
        now = time.monotonic()
        state: dict[str, Any] | None = None
        if now - looked >= STATE_S:
            looked = now
            try:
                job = await jobs.get(job_id)
            except DatabaseUnavailable:
                pass  # the log goes on without
            else:
                state = {"state": job.state, "reason": job.reason, "progress": job.progress}
                ended = job.state not in ACTIVE
        # After the state: what is in the log of a job that has ended is all of it.
        while (piece := await asyncio.to_thread(job_log.log_chunk, run, offset, _PIECE)).text:
            offset, told = piece.end, now
            yield JobEvent("log", offset, {"text": piece.text})
        if state is not None and ended:
            yield JobEvent("end", offset, state)
            return
        if state is not None and state != shown:
            shown, told = state, now
            yield JobEvent("state", offset, state)
        elif now - told > SILENCE_S:
            told = now
            yield JobEvent("silence", offset, {})
        await asyncio.sleep(LOOK_S)
