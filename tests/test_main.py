"""The application from its start to its end: built from top to bottom, closed in reverse, also half-way."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app import main
from app.core.settings import Settings, SettingsError
from app.db.database import Database
from app.main import create_app
from app.pipeline.checkpoint import CheckpointError
from app.services.accounts.service import Accounts
from app.services.billing.credits import Credits
from app.services.billing.stripe_billing import StripeBilling
from app.services.captions.hub import LiveHub
from app.services.container import Services
from app.services.landmarks.process import LandmarkProcess
from app.services.recognition.active_checkpoint import ActiveCheckpoint
from app.services.recognition.model_host import ModelHost
from app.services.recognition.service import ClipService
from app.services.training_jobs.service import TrainingJobs
from tests.core.test_temp_files import dead_pid
from tests.support.problems import assert_problem

#: In the order in which they are built.
PARTS: tuple[type[Any], ...] = (
    Database, Accounts, Credits, StripeBilling, LandmarkProcess, ModelHost, ClipService, LiveHub, TrainingJobs,
    ActiveCheckpoint,
)  # fmt: skip


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the parts that have been closed, in that order."""
    names: list[str] = []

    def watched(part: type[Any]) -> Any:
        close = part.close

        def watch(self: Any) -> Any:
            if part.__name__ not in names:
                names.append(part.__name__)
            return close(self)

        return watch

    for part in PARTS:
        monkeypatch.setattr(part, "close", watched(part))
    return names


@pytest.fixture
def nothing_left() -> Iterator[None]:
    def ours() -> set[threading.Thread]:
        names = ("model", "extract", "clip", "camera")
        return {thread for thread in threading.enumerate() if thread.name.startswith(names)}

    before = ours()
    yield
    assert ours() <= before


@pytest.fixture
def settings(tiny_settings: Settings, database_url: str, tmp_path: Path) -> Settings:
    changes = {
        "training": True,
        "database_url": database_url,
        "auth_secret": "s" * 32,
        "stripe_secret_key": "sk_test_1",
        "stripe_webhook_secret": "whsec_test",
        "stripe_prices": "pro=price_1",
        "runs_dir": tmp_path / "runs",
        "extractor_workers": 1,
    }
    return Settings(_env_file=None, **tiny_settings.model_dump() | changes)


def asked(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def other_tasks() -> set[str]:
    await asyncio.sleep(0)
    return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_what_is_built_last_is_closed_first(settings: Settings, closed: list[str], nothing_left: None) -> None:
    tasks = await other_tasks()
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        services = app.state.services
        assert isinstance(services, Services)
        assert all(getattr(services, field.name) is not None for field in fields(services))
        assert closed == []
    assert closed == [part.__name__ for part in reversed(PARTS)]
    assert app.state.services is None
    assert await other_tasks() == tasks


async def test_what_needs_a_database_is_not_there_without_one(tiny_settings: Settings, closed: list[str]) -> None:
    app = create_app(tiny_settings)
    async with app.router.lifespan_context(app):
        services = app.state.services
        assert services.database is services.checkpoint is services.training is None
        assert services.accounts is services.keys is services.stripe is None
    assert closed == ["LiveHub", "ClipService", "ModelHost", "LandmarkProcess", "Credits"]


@pytest.mark.parametrize(
    "stage", [*range(1, len(PARTS)), len(PARTS)], ids=lambda n: [*PARTS, main.Services][n].__name__
)
async def test_a_start_that_fails_closes_what_it_had_opened(
    settings: Settings, closed: list[str], nothing_left: None, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise SettingsError("no luck")

    part = [*PARTS, main.Services][stage]
    monkeypatch.setattr(part, "load" if part is ModelHost else "__init__", fails)
    tasks = await other_tasks()
    app = create_app(settings)
    with pytest.raises(SettingsError, match="no luck"):
        async with app.router.lifespan_context(app):
            pass
    assert closed == [opened.__name__ for opened in reversed(PARTS[:stage])]
    assert app.state.startup_problem == "no luck"
    assert app.state.services is None
    assert await other_tasks() == tasks


async def test_a_broken_checkpoint_ends_the_start_and_closes_the_rest(
    settings: Settings, closed: list[str], nothing_left: None, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"damaged")
    app = create_app(settings.model_copy(update={"checkpoint_dir": tmp_path}))
    with pytest.raises(CheckpointError):
        async with app.router.lifespan_context(app):
            pass
    assert closed == ["LandmarkProcess", "StripeBilling", "Credits", "Accounts", "Database"]
    assert app.state.startup_problem


async def test_a_port_that_is_taken_ends_the_start_and_closes_everything(
    settings: Settings, closed: list[str], nothing_left: None
) -> None:
    app = create_app(settings.model_copy(update={"host": "192.0.2.1", "grpc_port": 1}))
    with pytest.raises(SettingsError, match="GRPC_PORT=1"):
        async with app.router.lifespan_context(app):
            pass
    assert closed == [part.__name__ for part in reversed(PARTS)]


async def test_recognition_starts_without_the_database(
    settings: Settings, closed: list[str], nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "DATABASE_START_S", 0.2)
    unreachable = {**settings.model_dump(), "database_url": "postgresql://nobody@127.0.0.1:1/none"}
    app = create_app(Settings(_env_file=None, **unreachable))
    async with app.router.lifespan_context(app), asked(app) as client:
        ready = (await client.get("/api/health/ready")).json()
        assert (ready["status"], ready["database"]) == ("ready", "unavailable")
        assert_problem(await client.get("/api/training/jobs"), 503, "database_unavailable")
    assert closed == [part.__name__ for part in reversed(PARTS)]


async def test_what_a_killed_process_left_is_removed_at_the_start(
    tiny_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"glossline-{await asyncio.to_thread(dead_pid)}-abc.upload"
    left.write_bytes(b"video")
    app = create_app(tiny_settings)
    async with app.router.lifespan_context(app):
        assert not left.exists()


async def test_before_the_start_and_after_the_end_nothing_is_ready(tiny_settings: Settings) -> None:
    app = create_app(tiny_settings)
    for started in (False, True):
        if started:
            async with app.router.lifespan_context(app):
                pass
        async with asked(app) as client:
            health = (await client.get("/api/health")).json()
            assert (health["status"], health["model_loaded"]) == ("starting", False)
            assert_problem(await client.get("/api/health/ready"), 503, "not_ready")
            assert_problem(await client.post("/api/inference/predict", files={"file": b"x"}), 503, "not_ready")
            assert (await client.get("/socket.io/?EIO=4&transport=polling")).status_code == 503


def test_a_database_url_that_cannot_be_used_is_named_before_the_start(tiny_settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL=\(hidden\): not a valid database URL"):
        create_app(
            Settings(_env_file=None, **tiny_settings.model_dump() | {"database_url": "postgresql://me@here:port/none"})
        )
