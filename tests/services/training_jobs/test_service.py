"""Jobs with real processes and a real database; in the trainer's place run short scripts that keep its contract."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core import errors
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.training import ACTIVE, TrainingJob
from app.monitoring.metrics import Metrics
from app.monitoring.summary import value
from app.services.training_jobs import process
from app.services.training_jobs import repository as training_jobs
from app.services.training_jobs import service as module
from app.services.training_jobs.follow import JobEvent, follow
from app.services.training_jobs.plan import Plan
from app.services.training_jobs.request import TrainingRequest
from app.services.training_jobs.service import TrainingJobs

REQUEST = TrainingRequest(dataset="signs", config="tiny", device="cpu")
SAY = """
import json, os, signal, subprocess, sys, time
out = sys.argv[1]
def say(state, **more):
    with open(out + "/part", "w") as f: json.dump({"state": state, "step": 5, "steps": 9, **more}, f)
    os.replace(out + "/part", out + "/status.json")
    os.makedirs(out + "/checkpoints/step-00000005", exist_ok=True)
def stopped(*_):
    say("stopped"); print("saved", flush=True); os._exit(3)
"""
SCRIPTS = {
    "ends": SAY + 'say("running"); print("working", flush=True); time.sleep(2.5); say("finished")',
    "runs": SAY + 'signal.signal(signal.SIGTERM, stopped); say("running"); print("go", *sys.argv[2:], flush=True)\n'
    "time.sleep(600)",
    "ignores": SAY + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)\n'
    'say("running", child=child.pid); time.sleep(600)',
    "refused": 'import sys; print("error: no gloss UNICORN", file=sys.stderr); sys.exit(2)',
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, runs_dir=tmp_path / "runs", training_nice=0, training_stop_s=5)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Which script runs in the place of the trainer."""

    def choose(name: str) -> None:
        def plan(settings: Settings, request: TrainingRequest, run: Path, *, resume: bool = False) -> Plan:
            return Plan([sys.executable, "-c", SCRIPTS[name], str(run), *(["--resume"] if resume else [])], ())

        monkeypatch.setattr(module, "make_plan", plan)

    choose("runs")
    return choose


@asynccontextmanager
async def service(
    settings: Settings, database_url: str, metrics: Metrics | None = None, **changes: Any
) -> AsyncIterator[TrainingJobs]:
    database = Database(database_url, settings.data_dir)
    await database.open()
    jobs = TrainingJobs(settings.model_copy(update=changes), database, lambda: "cpu", metrics)
    try:
        yield jobs
    finally:
        await jobs.close()
        await database.close()


async def until(jobs: TrainingJobs, job_id: str, *states: str) -> TrainingJob:
    async with asyncio.timeout(60):
        while (job := await jobs.get(job_id)).state not in states:
            assert job.state in ACTIVE, (job.state, job.reason)
            await asyncio.sleep(0.05)
    return job


def processes(job_id: str) -> list[int]:
    found = []
    for candidate in psutil.process_iter():
        try:
            if candidate.environ().get(process.MARK) == job_id:
                found.append(candidate.pid)
        except psutil.Error:
            continue
    return found


async def test_a_job_from_start_to_finish(settings: Settings, database_url: str, script: Callable[[str], None]) -> None:
    script("ends")
    metrics = Metrics()
    async with service(settings, database_url, metrics) as jobs:
        job = await jobs.begin(REQUEST)
        assert job.state == "starting"
        assert (await until(jobs, job.id, "running")).progress == {"step": 5, "steps": 9}
        done = await until(jobs, job.id, "finished")
        assert (done.exit_code, done.reason, done.log_tail) == (0, None, None)
        async with asyncio.timeout(60):
            while value(metrics.jobs_ended.labels("finished")) != 1:  # noqa: ASYNC110 - counted after it is recorded
                await asyncio.sleep(0.05)
        assert value(metrics.jobs_ended.labels("failed")) == 0
        assert done.started_at is not None
        assert done.finished_at is not None
        asked = json.loads((jobs.run_folder(job.id) / "job.json").read_text())
        assert asked["request"]["dataset"] == "signs"
        with pytest.raises(errors.WrongState, match="finished"):
            await jobs.stop(job.id)
        with pytest.raises(errors.WrongState, match="finished"):
            await jobs.resume(job.id)
        await jobs.begin(REQUEST)  # its place is free again


async def test_stop_then_resume(settings: Settings, database_url: str, script: Callable[[str], None]) -> None:
    async with service(settings, database_url) as jobs:
        job = await jobs.begin(REQUEST)
        await until(jobs, job.id, "running")
        assert (await jobs.stop(job.id)).state == "stopping"
        stopped = await until(jobs, job.id, "stopped")
        assert stopped.exit_code == 3
        assert processes(job.id) == []
        again = await jobs.resume(job.id)
        assert (again.state, again.attempt, again.reason, again.exit_code) == ("starting", 2, None, None)
        await until(jobs, job.id, "running")
        with pytest.raises(errors.WrongState, match="running"):
            await jobs.resume(job.id)
        log = (jobs.run_folder(job.id) / "train.log").read_text()
        assert log.split("\n")[:3] == ["go", "saved", "go --resume"]


async def test_a_job_that_ignores_the_signal_is_killed_with_its_helpers(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    script("ignores")
    async with service(settings, database_url, training_stop_s=0.3) as jobs:
        job = await jobs.begin(REQUEST)
        await until(jobs, job.id, "running")
        assert len(processes(job.id)) == 2
        await jobs.stop(job.id)
        stopped = await until(jobs, job.id, "stopped")
        assert stopped.reason == "It did not end within 0.3 seconds and was killed."
        assert processes(job.id) == []


async def test_a_killed_process_is_a_failed_job_with_its_last_lines(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    async with service(settings, database_url) as jobs:
        job = await jobs.begin(REQUEST)
        pid = (await until(jobs, job.id, "running")).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        failed = await until(jobs, job.id, "failed")
        assert failed.exit_code == -9
        assert "SIGKILL" in str(failed.reason)
        assert failed.log_tail == "go\n"
        await jobs.resume(job.id)
        await until(jobs, job.id, "running")


async def test_what_the_trainer_refuses_is_told(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    script("refused")
    async with service(settings, database_url) as jobs:
        failed = await until(jobs, (await jobs.begin(REQUEST)).id, "failed")
        assert failed.exit_code == 2
        assert "no gloss UNICORN" in str(failed.reason)


async def test_places_are_limited(settings: Settings, database_url: str, script: Callable[[str], None]) -> None:
    async with service(settings, database_url, max_training_jobs=2) as jobs:
        results = await asyncio.gather(*(jobs.begin(REQUEST) for _ in range(5)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, errors.TooManyJobs)]
        assert len(refused) == 3
        assert "MAX_TRAINING_JOBS=2" in refused[0].detail
        active, counts = await jobs.overview()
        assert len(active) == 2
        assert sum(counts.values()) == 2


async def test_a_run_folder_that_cannot_be_made_leaves_a_failed_job(
    settings: Settings, database_url: str, script: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    metrics = Metrics()
    async with service(settings, database_url, metrics, runs_dir=tmp_path / "file") as jobs:
        with pytest.raises(errors.TrainingUnavailable, match="RUNS_DIR"):
            await jobs.begin(REQUEST)
        assert value(metrics.jobs_ended.labels("failed")) == 1
        (job,), _ = await jobs.page(5, 0, None)
        assert job.state == "failed"
        assert "could not be started" in str(job.reason)


async def test_the_end_of_the_service_stops_its_jobs(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    async with service(settings, database_url, max_training_jobs=2) as jobs:
        kind = await jobs.begin(REQUEST)
        await until(jobs, kind.id, "running")
        script("ignores")
        deaf = await jobs.begin(REQUEST)
        await until(jobs, deaf.id, "running")
        jobs._settings = jobs._settings.model_copy(update={"training_stop_s": 0.5})
    assert processes(kind.id) == processes(deaf.id) == []
    async with service(settings, database_url) as jobs:
        assert [(await jobs.get(job_id)).state for job_id in (kind.id, deaf.id)] == ["stopped", "stopped"]
        assert "can be resumed" in str((await jobs.get(kind.id)).reason)


@asynccontextmanager
async def abandoned(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch, **row: Any
) -> AsyncIterator[tuple[TrainingJobs, TrainingJob]]:
    """A new service, and a job of one that was killed: its process lives, its owner does not."""
    first = service(settings, database_url)
    jobs = await first.__aenter__()
    job = await jobs.begin(REQUEST)
    await until(jobs, job.id, "running")
    assert jobs._task is not None
    jobs._task.cancel()
    async with jobs._database.session() as session:
        await training_jobs.change(session, job.id, owner=f"{jobs._host}/{2**22 - 1}/0", **row)
    await jobs._database.close()
    try:
        async with service(settings, database_url) as second:
            yield second, job
    finally:
        process.kill_all(job.id)
        await asyncio.to_thread(jobs._children[job.id].wait)


async def test_a_job_that_outlived_its_service_is_watched_again(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with abandoned(settings, database_url, monkeypatch) as (jobs, job):
        async with asyncio.timeout(20):
            while (await jobs.get(job.id)).owner != jobs.owner:  # noqa: ASYNC110 - it stands in the database
                await asyncio.sleep(0.05)
        assert (await jobs.get(job.id)).state == "running"
        await jobs.stop(job.id)
        stopped = await until(jobs, job.id, "stopped")
        assert stopped.exit_code is None
        assert processes(job.id) == []


async def test_a_job_whose_process_died_with_its_service_is_marked(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number belongs to another process by now."""
    async with abandoned(settings, database_url, monkeypatch, pid=os.getpid(), pid_started=1.0) as (jobs, job):
        failed = await until(jobs, job.id, "failed")
        assert "while no service process was watching it. Last output: go" in str(failed.reason)
        assert failed.log_tail == "go\n"


async def test_a_job_whose_process_was_never_started_is_marked(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with abandoned(settings, database_url, monkeypatch, state="queued", pid=None) as (jobs, job):
        assert "before the process" in str((await until(jobs, job.id, "failed")).reason)


async def test_a_job_of_a_machine_that_is_gone_is_lost(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.5)
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.2)
    async with abandoned(settings, database_url, monkeypatch, host="elsewhere") as (jobs, job):
        lost = await until(jobs, job.id, "lost")
        assert "elsewhere" in str(lost.reason)
        pid = lost.pid
        assert pid is not None
        assert psutil.pid_exists(pid)  # a number of another machine says nothing about this one


async def test_two_services_of_one_machine_leave_each_others_jobs_alone(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.1)
    async with service(settings, database_url) as one, service(settings, database_url) as two:
        two.owner = f"{two._host}/{os.getppid()}/{process.started_at(os.getppid()):.2f}"
        job = await one.begin(REQUEST)
        await until(two, job.id, "running")
        await asyncio.sleep(1)
        assert (await two.get(job.id)).owner == one.owner
        with pytest.raises(errors.TooManyJobs):
            await two.begin(REQUEST)
        await two.stop(job.id)  # the owner hears of it
        await until(two, job.id, "stopped")


async def test_without_a_database_questions_are_refused_and_processes_still_end(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    async with service(settings, database_url) as jobs:
        job = await jobs.begin(REQUEST)
        await until(jobs, job.id, "running")
        jobs._database.problem = "gone"
        for question in (jobs.get(job.id), jobs.stop(job.id), jobs.begin(REQUEST), jobs.overview()):
            with pytest.raises(errors.DatabaseUnavailable, match="gone"):
                await question
        assert len(processes(job.id)) == 1
    assert processes(job.id) == []


async def test_a_job_that_starts_while_the_watcher_asks_is_not_taken_for_one_without_a_process(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(settings, database_url) as jobs:
        loop, start, asked = asyncio.get_running_loop(), jobs._start_process, asyncio.Event()

        async def slowly(*question: Any) -> Any:
            found = await owned_by(*question)
            if found:
                asked.set()
                await asyncio.sleep(1)
            return found

        def when_asked(*job: Any) -> Any:
            loop.call_soon_threadsafe(jobs._look.set)
            asyncio.run_coroutine_threadsafe(asked.wait(), loop).result(30)
            return start(*job)

        owned_by = training_jobs.owned_by
        monkeypatch.setattr(training_jobs, "owned_by", slowly)
        monkeypatch.setattr(jobs, "_start_process", when_asked)
        job = await jobs.begin(REQUEST)
        await until(jobs, job.id, "running")


async def test_a_follower_sees_everything_once_and_the_end(
    settings: Settings, database_url: str, script: Callable[[str], None]
) -> None:
    script("ends")
    async with service(settings, database_url) as jobs:
        job = await jobs.begin(REQUEST)
        async with asyncio.timeout(30):
            seen = [happened async for happened in follow(jobs, job.id, 0)]
    assert "".join(happened.data["text"] for happened in seen if happened.kind == "log") == "working\n"
    assert seen[-1] == JobEvent("end", 8, {"state": "finished", "reason": None, "progress": {"step": 5, "steps": 9}})
    assert [happened.data["state"] for happened in seen if happened.kind == "state"][-1] == "running"
    async with service(settings, database_url) as jobs:
        again = [happened async for happened in follow(jobs, job.id, 8)]
        assert [happened.kind for happened in again] == ["end"]


async def test_followers_are_let_go_when_the_service_stops(
    settings: Settings, database_url: str, script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.training_jobs.follow.SILENCE_S", 0.1)
    async with service(settings, database_url) as jobs:
        job = await jobs.begin(REQUEST)
        seen: list[str] = []

        async def watch() -> None:
            async for happened in follow(jobs, job.id, 0):
                seen.append(happened.kind)

        watching = asyncio.create_task(watch())
        while seen.count("silence") < 2:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.05)
        began = time.monotonic()
        await jobs.close()
        await watching
        assert time.monotonic() - began < 10
    assert "end" not in seen
