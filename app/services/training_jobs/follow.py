"""A job's log as it is written: new text, changes of state, the end."""

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

#: Seconds between readings of the log, and of the state.
LOOK_S = 0.3
STATE_S = 1.0
#: Seconds of silence after which a keep-alive is sent, because proxies close idle connections; and the longest stream.
SILENCE_S = 15.0
LONGEST_S = 3600.0
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something new about a job."""

    kind: Literal["log", "state", "end", "silence"]
    """'end' has the last state; 'silence' keeps the connection alive."""
    offset: int
    """Log offset in bytes after this event, to resume from after a lost connection."""
    data: dict[str, Any]
    """log: {"text"}; state, end: {"state", "reason", "progress"}; silence: {}."""


async def follow(jobs: TrainingJobs, job_id: str, offset: int) -> AsyncIterator[JobEvent]:
    """Events from byte `offset` of the log on, until the job ends, the service stops, or an hour has passed."""
    run = jobs.run_folder(job_id)
    began = sent_at = time.monotonic()
    looked, shown, ended = -STATE_S, None, False
    while time.monotonic() - began < LONGEST_S and not jobs.closing.is_set():
        now = time.monotonic()
        state: dict[str, Any] | None = None
        if now - looked >= STATE_S:
            looked = now
            try:
                job = await jobs.get(job_id)
            except DatabaseUnavailable:
                pass  # the log continues without it
            else:
                state = {"state": job.state, "reason": job.reason, "progress": job.progress}
                ended = job.state not in ACTIVE
        # After the state: the log of a job that has ended is complete.
        while (piece := await asyncio.to_thread(job_log.log_chunk, run, offset, _PIECE)).text:
            offset, sent_at = piece.next, now
            yield JobEvent("log", offset, {"text": piece.text})
        if state is not None and ended:
            yield JobEvent("end", offset, state)
            return
        if state is not None and state != shown:
            shown, sent_at = state, now
            yield JobEvent("state", offset, state)
        elif now - sent_at > SILENCE_S:
            sent_at = now
            yield JobEvent("silence", offset, {})
        await asyncio.sleep(LOOK_S)
