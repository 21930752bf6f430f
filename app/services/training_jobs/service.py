"""Training jobs: started, watched, stopped, resumed, and found again after a restart of the service.

Each job is watched by one process of the service, its owner, which alone ends it and records the result; all can
answer queries. An owner that is gone is replaced by another process of its machine; a job whose whole machine is
silent is `lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loguru import logger
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.training import ACTIVE, TrainingJob
from app.monitoring.metrics import Metrics
from app.services.training_jobs import job_log, process, repository
from app.services.training_jobs.plan import Plan, check_gpus, make_plan, new_id
from app.services.training_jobs.request import TrainingRequest
from app.training import run_folder

#: Seconds between an owner's checks of its jobs, its heartbeats, and its searches for jobs without an owner.
WATCH_S = 0.5
HEARTBEAT_S = 5.0
#: Seconds of silence after which a machine counts as gone, and its jobs as lost.
AWAY_S = 120.0


class TrainingJobs:
    """Watches jobs from its creation until `close`. Needs a running event loop; use from that one."""

    def __init__(
        self, settings: Settings, database: Database, serving: Callable[[], str | None], metrics: Metrics | None = None
    ) -> None:
        """serving: returns the device of the recogniser."""
        self._settings, self._database, self._serving = settings, database, serving
        self._metrics = metrics or Metrics()
        self._host = platform.node() or "localhost"
        self.owner = f"{self._host}/{os.getpid()}/{process.started_at(os.getpid()) or 0:.2f}"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._told: dict[str, float] = {}  # when a job was requested to stop, by the monotonic clock
        self._being_started: set[str] = set()
        self._look = asyncio.Event()
        self.closing = asyncio.Event()
        self._task = asyncio.create_task(self._watch(), name="training-jobs")

    def run_folder(self, job_id: str) -> Path:
        return self._settings.runs_dir.resolve() / job_id

    # -- life ---------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop the jobs of this process and return when none of their processes is left."""
        if self.closing.is_set():
            return
        self.closing.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        jobs: Sequence[TrainingJob] = []
        with contextlib.suppress(errors.DatabaseUnavailable):
            async with self._database.session() as session:
                jobs = await repository.owned_by(session, self.owner)
        known = {job.id: job for job in jobs}
        await asyncio.gather(*(self._end(job_id, known.get(job_id)) for job_id in {*known, *self._children}))

    async def _end(self, job_id: str, job: TrainingJob | None) -> None:
        known = self._children.get(job_id) or job
        pid = known.pid if known is not None else None
        if pid is not None:
            started = job.pid_started if job is not None and job.pid_started else process.started_at(pid) or 0.0
            logger.info("training job {} is being stopped with the service", job_id)
            process.ask_to_stop(pid, started)
            deadline = time.monotonic() + self._settings.training_stop_s
            while self._exit_code(job_id) is None and process.alive(pid, started):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.1)
        if job is not None:
            with contextlib.suppress(errors.DatabaseUnavailable):
                await self._finish(job, "The service was stopped, and the job with it. It can be resumed.")
        else:
            await asyncio.to_thread(process.kill_all, job_id)

    # -- queries and commands ----------------------------------------------------------------------------------------

    async def begin(self, request: TrainingRequest) -> TrainingJob:
        """Start a job. Raises UnknownDataset, UnknownConfig, InvalidRequest, GpuInUse, TooManyJobs,
        TrainingUnavailable, DatabaseUnavailable."""
        job_id = new_id(request)
        plan = await asyncio.to_thread(make_plan, self._settings, request, self.run_folder(job_id))
        job = TrainingJob(
            id=job_id,
            state="queued",
            request=request.model_dump(mode="json"),
            command=plan.command,
            device=plan.device,
            host=self._host,
            owner=self.owner,
        )
        async with self._starting(job_id):
            async with self._database.session() as session:
                await self._take_place(session, plan, request)
                session.add(job)
            return await self._spawn(job, plan)

    def resumable(self, job: TrainingJob) -> bool:
        """Whether the job ended early and has a checkpoint to resume from. Reads its folder: not for the event loop."""
        ended_early = job.state not in ACTIVE and job.state != "finished"
        return ended_early and run_folder.has_checkpoint(self.run_folder(job.id))

    async def resume(self, job_id: str) -> TrainingJob:
        """Continue a job that was stopped, failed or got lost from its last checkpoint. Raises UnknownJob, WrongState,
        and what `begin` raises."""
        async with self._starting(job_id):
            async with self._database.session() as session:
                job = await self._known(session, job_id, lock=True)
                run = self.run_folder(job_id)
                if job.state in ACTIVE or job.state == "finished":
                    raise errors.WrongState(
                        f"The job is {job.state}; only one that was stopped, failed or got lost can be resumed."
                    )
                if not run.is_dir():
                    raise errors.WrongState(
                        "The folder of this job is not in RUNS_DIR any more, so there is nothing to resume from. "
                        "Start a new job."
                    )
                if not await asyncio.to_thread(run_folder.has_checkpoint, run):
                    raise errors.WrongState(
                        "The job ended before its first checkpoint: there is nothing to resume from. Start a new job."
                    )
                request = TrainingRequest.model_validate(job.request)
                plan = await asyncio.to_thread(make_plan, self._settings, request, run, resume=True)
                await self._take_place(session, plan, request)
                job.state, job.command, job.device = "queued", plan.command, plan.device
                job.host, job.owner, job.owner_seen, job.attempt = self._host, self.owner, _now(), job.attempt + 1
                job.pid = job.pid_started = job.exit_code = job.reason = job.log_tail = None
                job.stop_asked, job.finished_at = False, None
            return await self._spawn(job, plan)

    async def stop(self, job_id: str) -> TrainingJob:
        """Request a job to save and end; its owner does it. Raises UnknownJob, WrongState, DatabaseUnavailable."""
        async with self._database.session() as session:
            job = await self._known(session, job_id, lock=True)
            if job.state not in ACTIVE:
                raise errors.WrongState(f"The job is {job.state}: there is nothing to stop.")
            job.state, job.stop_asked = "stopping", True
        self._look.set()
        return job

    async def get(self, job_id: str) -> TrainingJob:
        """Raises UnknownJob, DatabaseUnavailable."""
        async with self._database.session() as session:
            return await self._known(session, job_id)

    async def page(self, limit: int, offset: int, state: str | None) -> tuple[Sequence[TrainingJob], int]:
        async with self._database.session() as session:
            return await repository.page(session, limit, offset, state)

    async def overview(self) -> tuple[Sequence[TrainingJob], dict[str, int]]:
        """The active jobs, and the number of jobs by state."""
        async with self._database.session() as session:
            return await repository.active(session), await repository.counts(session)

    # -- starting -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _starting(self, job_id: str) -> AsyncIterator[None]:
        """While it lasts, the watcher ignores the job."""
        if self.closing.is_set():
            raise errors.NotReady("The service is shutting down and starts no more jobs.")
        self._being_started.add(job_id)
        try:
            yield
        finally:
            self._being_started.discard(job_id)

    async def _known(self, session: AsyncSession, job_id: str, *, lock: bool = False) -> TrainingJob:
        job = await repository.get(session, job_id, lock=lock)
        if job is None:
            raise errors.UnknownJob
        return job

    async def _take_place(self, session: AsyncSession, plan: Plan, request: TrainingRequest) -> None:
        await repository.lock_queue(session)
        active, limit = await repository.active(session), self._settings.max_training_jobs
        if len(active) >= limit:
            raise errors.TooManyJobs(
                f"{len(active)} training job{'s' if len(active) > 1 else ''} ({', '.join(job.id for job in active)}) "
                f"hold{'' if len(active) > 1 else 's'} a place, as many as MAX_TRAINING_JOBS={limit} allows. Wait, or "
                "stop one."
            )
        check_gpus(plan, request, self._serving(), [job.device for job in active if job.host == self._host])

    async def _spawn(self, job: TrainingJob, plan: Plan) -> TrainingJob:
        """Start the process of a job whose row exists. On any failure, no unknown process is left running."""
        try:
            child = await _to_the_end(asyncio.to_thread(self._start_process, job, plan))
            if self.closing.is_set():
                raise errors.NotReady("The service is shutting down and starts no more jobs.")
            async with self._database.session() as session:
                row = await self._known(session, job.id, lock=True)
                row.state = "stopping" if row.stop_asked else "starting"
                row.pid, row.pid_started, row.started_at = child.pid, process.started_at(child.pid), _now()
        except OSError as problem:
            reason = f"The process could not be started: {problem.strerror or problem}."
            async with self._database.session() as session:
                await repository.change(session, job.id, state="failed", reason=reason, finished_at=_now())
            self._log_end(job, "failed", reason)
            raise errors.TrainingUnavailable(
                f"{reason} Make sure that RUNS_DIR can be written and its disk is not full."
            ) from problem
        except BaseException:
            await _to_the_end(asyncio.to_thread(self._forget_child, job.id))
            raise
        logger.info("training job {} is running as process {} on {}", job.id, child.pid, plan.device)
        self._look.set()
        return row

    def _start_process(self, job: TrainingJob, plan: Plan) -> subprocess.Popen[bytes]:
        run = self.run_folder(job.id)
        run.mkdir(parents=True, exist_ok=True)
        (run / run_folder.STATUS).unlink(missing_ok=True)  # left by an earlier process
        asked = {"id": job.id, "attempt": job.attempt, "request": job.request, "command": plan.command}
        (run / "job.json").write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
        child = process.start(job.id, plan.command, run / job_log.LOG, 0 if plan.gpus else self._settings.training_nice)
        self._children[job.id] = child
        return child

    def _forget_child(self, job_id: str) -> None:
        process.kill_all(job_id)
        child = self._children.pop(job_id, None)
        if child is not None:
            child.kill()
            child.wait()

    # -- watching -----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        beaten = -HEARTBEAT_S
        while True:
            rest = WATCH_S
            try:
                if time.monotonic() - beaten >= HEARTBEAT_S:
                    await self._heartbeat()
                    beaten = time.monotonic()
                starting = set(self._being_started)  # before the query, whose answer is older than what follows it
                async with self._database.session() as session:
                    jobs = await repository.owned_by(session, self.owner)
                self._count(jobs)
                if not jobs:  # a start wakes this; otherwise the next heartbeat
                    rest = HEARTBEAT_S
                for job in jobs:
                    if job.id not in starting | self._being_started:
                        await self._attend(job)
            except errors.DatabaseUnavailable:
                pass  # already logged; the processes continue meanwhile
            except Exception:  # noqa: BLE001 - a job that cannot be checked must not affect the others
                logger.exception("checking the training jobs failed; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._look.wait()
            self._look.clear()

    def _count(self, jobs: Sequence[TrainingJob]) -> None:
        """jobs: the active ones of this process."""
        for state in ACTIVE:
            self._metrics.jobs.labels(state).set(sum(job.state == state for job in jobs))

    async def _heartbeat(self) -> None:
        async with self._database.session() as session:
            await repository.touch_heartbeat(session, self.owner)
            for job, silent_s in await repository.owned_by_others(session, self.owner):
                gone = not _runs_here(job.owner) if job.host == self._host else silent_s > AWAY_S
                if gone and await repository.take_over(session, job, self.owner):
                    logger.info("training job {} lost its watcher; this process takes over", job.id)

    async def _attend(self, job: TrainingJob) -> None:
        """Check one job of this process."""
        if job.host != self._host:
            await self._lose(job)
        elif job.pid is None or job.pid_started is None:
            await self._finish(job, "The service ended before the process of the job was started.")
        elif self._exit_code(job.id) is not None or not process.alive(job.pid, job.pid_started):
            await self._finish(job)
        else:
            if job.stop_asked:
                await self._stop_process(job.id, job.pid, job.pid_started)
            run = self.run_folder(job.id)
            # The state first: a job that has started by then has written its progress. A resumed job keeps its earlier
            # progress until it has started.
            begun = job.state == "starting" and await asyncio.to_thread(run_folder.has_started, run)
            state = "running" if begun else job.state
            progress = await asyncio.to_thread(run_folder.progress, run) or job.progress
            if (state, progress) != (job.state, job.progress):
                async with self._database.session() as session:
                    row = await repository.get(session, job.id, lock=True)
                    if row is not None and row.state in ACTIVE:
                        row.progress = progress
                        row.state = state if row.state == job.state else row.state

    async def _stop_process(self, job_id: str, pid: int, started: float) -> None:
        if job_id not in self._told:
            self._told[job_id] = time.monotonic()
            process.ask_to_stop(pid, started)
        elif time.monotonic() - self._told[job_id] > self._settings.training_stop_s:
            logger.warning("training job {} did not stop in time and is killed", job_id)
            await asyncio.to_thread(process.kill_all, job_id)

    def _exit_code(self, job_id: str) -> int | None:
        """None while the process runs, or where it is not a child of this process."""
        child = self._children.get(job_id)
        return child.poll() if child is not None else None

    async def _finish(self, job: TrainingJob, why: str | None = None) -> None:
        """Record the end of a job whose process has ended or is ended now; no process of it is left afterwards.
        why: the reason, for a job that did not end by itself; otherwise it is read from the run's folder."""
        code = self._exit_code(job.id)
        child = self._children.get(job.id)
        if code is None and why is None and child is not None:
            # Its first thread has ended, others have not: there is no exit code until they have.
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = await asyncio.to_thread(child.wait, process.GONE_S)
        await asyncio.to_thread(process.kill_all, job.id)
        run = self.run_folder(job.id)
        if job.pid is None:
            found = job_log.Verdict("failed", why)
        else:
            found = await asyncio.to_thread(job_log.verdict, run, code, job.stop_asked or why is not None)
        reason = found.reason
        if found.state == "stopped" and code == -signal.SIGKILL:
            reason = f"It did not end within {self._settings.training_stop_s:g} seconds and was killed."
        elif found.state == "stopped":
            reason = why or reason
        tail = (await asyncio.to_thread(job_log.log_tail, run)).text
        async with self._database.session() as session:
            await repository.change(
                session,
                job.id,
                self.owner,
                state=found.state,
                reason=reason,
                exit_code=code,
                log_tail=tail.replace("\0", "") if found.state == "failed" else None,
                progress=await asyncio.to_thread(run_folder.progress, run) or job.progress,
                finished_at=_now(),
            )
        self._children.pop(job.id, None)
        if child is not None:
            await asyncio.to_thread(child.wait)
        self._told.pop(job.id, None)
        self._log_end(job, found.state, reason)

    async def _lose(self, job: TrainingJob) -> None:
        reason = f"The machine that ran it ({job.host}) has been silent for over {AWAY_S:g} seconds."
        async with self._database.session() as session:
            await repository.change(session, job.id, self.owner, state="lost", reason=reason, finished_at=_now())
        self._log_end(job, "lost", reason)

    def _log_end(self, job: TrainingJob, state: str, reason: str | None) -> None:
        self._metrics.jobs_ended.labels(state).inc()
        line = logger.bind(event="training_job_end", job_id=job.id, state=state)
        level = "WARNING" if state in ("failed", "lost") else "INFO"
        line.log(level, "training job {} is {}{}", job.id, state, f": {reason}" if reason else "")


async def _to_the_end(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to completion: a cancellation of the caller takes effect afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _runs_here(owner: str) -> bool:
    """Whether the service process that `owner` names is alive. For owners on this machine."""
    _, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    return process.alive(int(pid), float(started))


def _now() -> datetime:
    return datetime.now(UTC)
