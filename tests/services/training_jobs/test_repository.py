from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.exc import IntegrityError

from app.db.database import Database
from app.db.models.training import STATES, TrainingJob
from app.services.recognition import repository as active_checkpoints
from app.services.training_jobs import repository as training_jobs


@pytest_asyncio.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(database_url, tmp_path)
    await database.open()
    yield database
    await database.close()


def job(job_id: str, **values: Any) -> TrainingJob:
    given: dict[str, Any] = {
        "id": job_id, "state": "running", "request": {"dataset": "signs"}, "command": ["python"], "device": "cpu",
        "host": "here", "owner": "here/1/0",
    }  # fmt: skip
    return TrainingJob(**given | values)


async def add(database: Database, *jobs: TrainingJob) -> None:
    async with database.session() as session:
        session.add_all(jobs)


async def test_pages_are_newest_first_and_counted(database: Database) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for i, state in enumerate(STATES):
        ended = None if state in STATES[:4] else began
        await add(database, job(f"j{i}", state=state, created_at=began + timedelta(hours=i), finished_at=ended))
    async with database.session() as session:
        page, total = await training_jobs.page(session, 3, 1)
        assert [found.id for found in page] == ["j6", "j5", "j4"]
        assert total == 8
        page, total = await training_jobs.page(session, 3, 0, "failed")
        assert ([found.state for found in page], total) == (["failed"], 1)
        assert [found.id for found in await training_jobs.active(session)] == ["j0", "j1", "j2", "j3"]
        assert await training_jobs.counts(session) == dict.fromkeys(STATES, 1)


async def test_what_a_row_holds_comes_back(database: Database) -> None:
    await add(database, job("j", pid=7, pid_started=1.5, progress={"step": 3}))
    async with database.session() as session:
        found = await training_jobs.get(session, "j")
        assert found is not None
        assert (found.pid, found.pid_started, found.progress, found.attempt) == (7, 1.5, {"step": 3}, 1)
        assert found.stop_asked is False
        assert found.created_at.tzinfo is not None
        assert await training_jobs.get(session, "k") is None


async def test_no_other_state_can_be_written(database: Database) -> None:
    with pytest.raises(IntegrityError, match="ck_training_jobs_state"):
        await add(database, job("j", state="sleeping"))


async def test_a_job_that_has_ended_is_not_changed_and_only_its_owner_changes_it(database: Database) -> None:
    await add(database, job("runs"), job("done", state="finished", finished_at=datetime.now(UTC)))
    async with database.session() as session:
        assert not await training_jobs.change(session, "done", state="failed")
        assert not await training_jobs.change(session, "runs", "somebody/else", state="failed")
        assert await training_jobs.change(session, "runs", "here/1/0", state="stopped")
        assert not await training_jobs.change(session, "nowhere", state="failed")


async def test_of_many_that_take_over_one_gets_the_job(database: Database) -> None:
    ago = datetime.now(UTC) - timedelta(seconds=100)
    await add(database, job("left", owner_seen=ago), job("mine", owner="me"))
    everybody = asyncio.Barrier(4)

    async def take(owner: str) -> bool:
        async with database.session() as session:
            (found,) = [other for other, _ in await training_jobs.owned_by_others(session, owner) if other.id == "left"]
            await everybody.wait()  # all have seen it without an owner before the first takes it
            return await training_jobs.take_over(session, found, owner)

    taken = await asyncio.gather(*(take(f"owner{i}") for i in range(4)))
    assert sorted(taken) == [False, False, False, True]
    async with database.session() as session:
        winner = f"owner{taken.index(True)}"
        assert [found.id for found in await training_jobs.owned_by(session, winner)] == ["left"]


async def test_silence_is_counted_in_seconds_and_ended_by_a_heartbeat(database: Database) -> None:
    await add(database, job("j", owner_seen=datetime.now(UTC) - timedelta(seconds=100)))
    async with database.session() as session:
        ((_, silent),) = await training_jobs.owned_by_others(session, "me")
        assert 99 < silent < 160
        await training_jobs.touch_heartbeat(session, "here/1/0")
    async with database.session() as session:
        ((_, silent),) = await training_jobs.owned_by_others(session, "me")
        assert silent < 60
        assert await training_jobs.owned_by_others(session, "here/1/0") == []


async def test_places_are_taken_one_at_a_time(database: Database) -> None:
    async def take(name: str) -> None:
        async with database.session() as session:
            await training_jobs.lock_queue(session)
            if not await training_jobs.active(session):
                await asyncio.sleep(0.05)
                session.add(job(name))

    await asyncio.gather(*(take(f"j{i}") for i in range(4)))
    async with database.session() as session:
        assert len(await training_jobs.active(session)) == 1


async def test_the_chosen_checkpoint_belongs_to_the_configured_one(database: Database) -> None:
    for checkpoint in ("one", "two"):
        async with database.session() as session:
            await active_checkpoints.choose(session, "asl", checkpoint)
    async with database.session() as session:
        assert await active_checkpoints.chosen(session, "asl") == "two"
        assert await active_checkpoints.chosen(session, "lse") is None
