"""Training over HTTP without a trainer: who may, what is refused and how, what is told of jobs that are there."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.settings import Settings
from app.db.models import TrainingJob
from app.main import create_app
from app.services.recognition import repository as active_checkpoints
from tests.support.media import signer
from tests.support.problems import assert_problem
from tests.support.training_api import write_inputs

START = {"dataset": "tiny", "config": "tiny", "device": "cpu"}


@pytest.fixture
def settings(tiny_settings: Settings, database_url: str, tmp_path: Path) -> Settings:
    folders = {name.lower(): Path(path) for name, path in write_inputs(tmp_path).items()}
    shutil.copytree(tiny_settings.checkpoint_dir, tmp_path / "checkpoints")
    return tiny_settings.model_copy(
        update={
            **folders,
            "checkpoint_dir": tmp_path / "checkpoints",
            "training": True,
            "database_url": SecretStr(database_url),
        }
    )


@asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[FastAPI]:
    app = create_app(settings.model_copy(update=changes))
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, base: str = "http://localhost", address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 5000))
    return httpx.AsyncClient(transport=transport, base_url=f"{base}/api/training", timeout=60)


@pytest_asyncio.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as app, client_of(app) as client:
        yield client


async def add_job(app: FastAPI, job_id: str, **values: Any) -> Path:
    """A job that has ended, and its folder."""
    given: dict[str, Any] = {
        "id": job_id, "state": "finished", "request": {**START, "nproc": 1}, "command": [], "device": "cpu",
        "host": "here", "owner": "here/1/0", "finished_at": datetime.now(UTC),
    }  # fmt: skip
    async with app.state.services.database.session() as session:
        session.add(TrainingJob(**given | values))
    run: Path = app.state.services.training.run_folder(job_id)
    os.mkdir(run)
    return run


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "address", "headers", "may"),
    [
        ("http://localhost", "127.0.0.1", {}, True),
        ("http://127.0.0.1:8000", "127.0.0.1", {}, True),
        ("http://[::1]:8000", "::1", {}, True),
        ("http://localhost", "127.0.0.1", {"Origin": "http://localhost"}, True),
        ("http://localhost", "10.0.0.7", {}, False),
        ("http://rebound.example", "127.0.0.1", {}, False),
        ("http://localhost", "127.0.0.1", {"Origin": "https://foreign.example"}, False),
        ("http://localhost", "127.0.0.1", {"Origin": "null"}, False),
        ("http://localhost", "127.0.0.1", {"X-Forwarded-For": "10.0.0.7"}, False),
        ("http://localhost", "127.0.0.1", {"Forwarded": "for=10.0.0.7"}, False),
    ],
)
async def test_without_a_token_training_is_open_to_this_machine_alone(
    settings: Settings, base: str, address: str, headers: dict[str, str], may: bool
) -> None:
    async with running(settings) as app, client_of(app, base, address) as client:
        answer = await client.get("/status", headers=headers)
        if may:
            assert answer.status_code == 200, answer.text
        else:
            # A foreign host or origin is refused before anybody asks who may train.
            by_name = "host_refused" if "rebound" in base else "training_forbidden"
            assert_problem(answer, 403, by_name)
            by_page = "origin_refused" if "Origin" in headers else by_name
            assert_problem(await client.post("/start", json=START, headers=headers), 403, by_page)


async def test_with_a_token_who_has_it_may_from_anywhere_and_nobody_else(settings: Settings) -> None:
    token = "correct horse battery"
    async with running(settings, training_token=SecretStr(token), allowed_hosts=["glossline.example"]) as app:
        async with client_of(app, "http://glossline.example", "10.0.0.7") as client:
            good = await client.get("/status", headers={"Authorization": f"Bearer {token}"})
            assert good.status_code == 200, good.text
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token}"}):
                answer = await client.get("/status", headers=header)
                assert_problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
        async with client_of(app) as here:
            assert_problem(await here.get("/status"), 401, "unauthorized")


async def test_switched_off_it_answers_nobody_and_starts_no_database(settings: Settings, tmp_path: Path) -> None:
    off = {"training": False, "database_url": None, "data_dir": tmp_path / "data"}
    async with running(settings, **off) as app, client_of(app) as client:
        assert_problem(await client.get("/jobs"), 403, "training_forbidden")
    assert "data" not in os.listdir(tmp_path)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"dataset": "unknown"}, 404, "unknown_dataset"),
        ({"dataset": "out"}, 404, "unknown_dataset"),
        ({"dataset": "../tiny"}, 422, "invalid_request"),
        ({"dataset": "/etc"}, 422, "invalid_request"),
        ({"config": "unknown"}, 404, "unknown_config"),
        ({"config": "../configs/tiny"}, 422, "invalid_request"),
        ({"num_epochs": -1}, 422, "invalid_request"),
        ({"device": "cuda:7"}, 422, "invalid_request"),
        ({"overrides": {"model.rgb.weights": "/etc/passwd"}}, 422, "invalid_request"),
        ({"overrides": {"model.rgb.weights": "README.md"}}, 422, "invalid_request"),
        ({"overrides": {"model.rgb.weights": ["README.md"]}}, 422, "invalid_request"),
    ],
)
async def test_a_start_that_cannot_be_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, tmp_path: Path, change: dict[str, Any], status: int, code: str
) -> None:
    os.symlink("/etc", tmp_path / "datasets" / "out")
    assert_problem(await client.post("/start", json={**START, **change}), status, code)
    assert (await client.get("/jobs")).json()["total"] == 0
    assert os.listdir(tmp_path / "runs") == []


async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert_problem(await client.post("/start", content=b"{", headers=headers), 422, "invalid_request")
    nested = b'{"dataset":' + b"[" * 50_000
    answer = await client.post("/start", content=nested, headers=headers)
    assert answer.status_code in (400, 422), answer.text


async def test_a_large_body_is_not_read_before_it_is_known_who_sends_it(settings: Settings) -> None:
    headers = {"Content-Type": "application/json"}
    async with running(settings) as app, client_of(app, address="10.0.0.7") as stranger:
        answer = await stranger.post("/start", content=b" " * (1 << 20), headers=headers)
        assert "Send a smaller one" in assert_problem(answer, 413, "upload_too_large")["detail"]


async def test_a_card_that_the_service_answers_on_is_not_taken_unnoticed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings) as app, client_of(app) as client:
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
        app.state.services.training._serving = lambda: "cuda:0"
        for sharing in (None, "exclusive"):
            answer = await client.post("/start", json={**START, "device": "auto", "gpu_sharing": sharing})
            assert "gpu_sharing 'share'" in assert_problem(answer, 409, "gpu_in_use")["detail"]


async def test_jobs_and_checkpoints_that_are_not_there(client: httpx.AsyncClient) -> None:
    for name in ("nobody", "a%00b", "%ff", "%ed%a0%80"):  # NUL is no text to PostgreSQL; the last two are none at all
        for path in ("", "/metrics", "/logs"):
            assert_problem(await client.get(f"/jobs/{name}{path}"), 404, "unknown_job")
        for path in ("/stop", "/resume"):
            assert_problem(await client.post(f"/jobs/{name}{path}"), 404, "unknown_job")
    for name in ("nobody", "..", "%2e%2e", "a%2Fb"):
        answer = await client.post(f"/checkpoints/{name}/activate")
        assert answer.status_code == 404, (name, answer.text)


async def test_without_a_database_training_says_so_and_recognition_goes_on(settings: Settings) -> None:
    nowhere = SecretStr("postgresql://ann:hunter2@127.0.0.1:9/x")
    async with running(settings, database_url=nowhere) as app, client_of(app) as client:
        for answer in (
            await client.get("/status"),
            await client.get("/jobs"),
            await client.post("/start", json=START),
            await client.post("/checkpoints/tiny/activate"),
        ):
            body = assert_problem(answer, 503, "database_unavailable")
            assert "DATABASE_URL" in body["detail"]
            assert "hunter2" not in answer.text
            assert answer.headers["retry-after"] == "5"
        ready = await client.get("http://localhost/api/health/ready")
        assert ready.json() == {"status": "ready", "model": "tiny", "device": "cpu", "database": "unavailable"}
        assert await predict(client) == "tiny"


# -- what is told ----------------------------------------------------------------------------------------------------


async def test_what_may_be_asked_for(client: httpx.AsyncClient) -> None:
    told = (await client.get("/status")).json()
    assert (told["datasets"], told["configs"], told["places"]) == (["tiny"], ["tiny"], 1)
    assert told["config_descriptions"] == {"tiny": "Small enough for tests."}
    assert (told["active"], told["counts"], told["device"], told["checkpoint"]) == ([], {}, "cpu", "tiny")


async def test_pages_of_jobs(settings: Settings) -> None:
    async with running(settings) as app, client_of(app) as client:
        for i in range(5):
            await add_job(app, f"j{i}", created_at=datetime(2026, 1, 1, i, tzinfo=UTC))
        run = await add_job(app, "bad", state="failed", reason="disk full", log_tail="x", exit_code=1)
        early = (await client.get("/jobs/bad")).json()
        assert not early["resumable"]  # it failed before its first checkpoint
        assert (
            "before its first checkpoint"
            in assert_problem(await client.post("/jobs/bad/resume"), 409, "wrong_state")["detail"]
        )
        (run / "checkpoints" / "step-00000200").mkdir(parents=True)
        page = (await client.get("/jobs", params={"limit": 2, "offset": 2})).json()
        assert [job["id"] for job in page["jobs"]] == ["j3", "j2"]
        assert (page["total"], page["limit"], page["offset"]) == (6, 2, 2)
        (bad,) = (await client.get("/jobs", params={"state": "failed"})).json()["jobs"]
        assert (bad["reason"], bad["log_tail"], bad["exit_code"], bad["resumable"]) == ("disk full", "x", 1, True)
        assert not (await client.get("/jobs/j1")).json()["resumable"]
        assert_problem(await client.get("/jobs", params={"limit": 0}), 422, "invalid_request")
        assert_problem(await client.post("/jobs/j1/stop"), 409, "wrong_state")
        assert_problem(await client.post("/jobs/j1/resume"), 409, "wrong_state")


async def test_numbers_and_logs_come_in_pieces(settings: Settings) -> None:
    async with running(settings) as app, client_of(app) as client:
        run = await add_job(app, "j")
        (run / "log.jsonl").write_text("".join(json.dumps({"step": i, "ctc": 1 / (i + 1)}) + "\n" for i in range(5)))
        (run / "train.log").write_text("one\ntwo\nthree é\n", encoding="utf-8")
        first = (await client.get("/jobs/j/metrics", params={"limit": 3})).json()
        assert [line["step"] for line in first["lines"]] == [0, 1, 2]
        rest = (await client.get("/jobs/j/metrics", params={"since": first["next"]})).json()
        assert ([line["step"] for line in rest["lines"]], rest["more"], rest["attempt"]) == ([3, 4], False, 1)
        tail = (await client.get("/jobs/j/logs", params={"tail": 1})).json()
        assert tail == {"text": "three é\n", "offset": 8, "next": 17, "size": 17}
        assert (await client.get("/jobs/j/logs", params={"offset": 4})).json()["text"] == "two\nthree é\n"
        assert (await client.get("/jobs/j/logs", params={"offset": 99})).json()["text"] == ""


@pytest.mark.parametrize(
    ("params", "headers", "expected"),
    [
        ({"follow": "true"}, {}, "one\ntwo\n"),
        ({}, {"Accept": "text/event-stream"}, "one\ntwo\n"),
        ({"follow": "true", "tail": "1"}, {}, "two\n"),
        ({"follow": "true", "offset": "2"}, {"Last-Event-ID": "4"}, "two\n"),
        ({"follow": "true"}, {"Last-Event-ID": "nonsense"}, "one\ntwo\n"),
    ],
)
async def test_a_log_as_server_sent_events(
    settings: Settings, params: dict[str, str], headers: dict[str, str], expected: str
) -> None:
    async with running(settings) as app, client_of(app) as client:
        run = await add_job(app, "j", state="failed", reason="boom")
        (run / "train.log").write_text("one\ntwo\n")
        answer = await client.get("/jobs/j/logs", params=params, headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in answer.text.split("\n\n")[1:-1]]
        assert [event["event"] for event in events] == ["log", "end"]
        assert json.loads(events[0]["data"]) == {"text": expected}
        assert events[0]["id"] == events[1]["id"] == "8"
        assert json.loads(events[1]["data"]) == {"state": "failed", "reason": "boom", "progress": {}}
        app.state.services.followers.in_use = app.state.services.followers.limit
        assert_problem(await client.get("/jobs/j/logs", params={"follow": "true"}), 503, "busy")


# -- which checkpoint answers ----------------------------------------------------------------------------------------


async def predict(client: httpx.AsyncClient) -> str:
    """Id of the model that answers."""
    blocks = {name: array.tolist() for name, array in signer(20, 0).items()}
    answer = await client.post("http://localhost/api/inference/landmarks", json={**blocks, "fps": 25})
    assert answer.status_code == 200, answer.text
    model: str = answer.json()["model"]
    return model


async def until_answers(client: httpx.AsyncClient, model: str) -> None:
    async with asyncio.timeout(30):
        while await predict(client) != model:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(0.05)


def another(settings: Settings, where: Path, model_id: str, **changes: Any) -> Path:
    """A copy of the tiny checkpoint under another id, with changes in its config."""
    shutil.copytree(settings.checkpoint_path, where)
    config = json.loads((where / "config.json").read_text())
    (where / "config.json").write_text(json.dumps({**config, "model_id": model_id, **changes}))
    return where


async def test_a_choice_takes_effect_at_once_lasts_and_belongs_to_the_setting(settings: Settings) -> None:
    another(settings, settings.runs_dir / "run-1" / "final", "run-1", provenance={"wer": 0.25})
    another(settings, settings.checkpoint_dir / "other", "other", provenance={"wer": 0.2})
    async with running(settings) as app, client_of(app) as client:
        listed = {c["id"]: c for c in (await client.get("/checkpoints")).json()["checkpoints"]}
        assert [(c["source"], c["active"], c["wer"]) for c in listed.values()] == [
            ("shipped", False, 0.2), ("shipped", True, None), ("run", False, 0.25),
        ]  # fmt: skip
        assert listed["run-1"]["glosses"] == listed["tiny"]["glosses"] != []
        assert await predict(client) == "tiny"
        done = (await client.post("/checkpoints/run-1/activate")).json()
        assert done == {
            "checkpoint": "run-1", "model": "run-1", "glosses": 5, "sign_language": "ase", "live_sessions": 0
        }  # fmt: skip
        assert await predict(client) == "run-1"
        assert (await client.get("http://localhost/api/health/ready")).json()["model"] == "run-1"
        assert (await client.get("http://localhost/api/labels")).json()["model"] == "run-1"
    async with running(settings) as app, client_of(app) as client:
        assert await predict(client) == "run-1"
    async with running(settings, checkpoint="other") as app, client_of(app) as client:
        assert await predict(client) == "other"
    shutil.rmtree(settings.runs_dir / "run-1")
    async with running(settings) as app, client_of(app) as client:
        assert await predict(client) == "tiny"


async def test_the_other_processes_of_the_service_follow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.recognition.active_checkpoint.FOLLOW_S", 0.1)
    another(settings, settings.checkpoint_dir / "other", "other")
    another(settings, settings.checkpoint_dir / "broken", "broken")
    (settings.checkpoint_dir / "broken" / "model.safetensors").write_bytes(b"damaged")
    async with running(settings) as one, running(settings) as two, client_of(one) as client, client_of(two) as second:
        await client.post("/checkpoints/other/activate")
        await until_answers(second, "other")
        async with one.state.services.database.session() as session:
            await active_checkpoints.choose(session, "tiny", "broken")
        for _ in range(20):
            assert await predict(second) == "other"
        assert (await client.post("/checkpoints/tiny/activate")).status_code == 200
        await until_answers(second, "tiny")


def damage(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    match how:
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "garbage":
            weights.write_bytes(b"\0" * 200)
        case "empty":
            weights.write_bytes(b"")
        case "pickle":
            weights.unlink()
            (folder / "model.pt").write_bytes(pickle.dumps({"weights": [1]}))
        case "pickle under another name":
            weights.write_bytes(pickle.dumps({"weights": [1]}))
        case "zipped pickle":
            with zipfile.ZipFile(weights, "w") as archive:
                archive.writestr("data.pkl", pickle.dumps([1]))
        case "other keypoints" | "other vocabulary" | "other format":
            config = json.loads((folder / "config.json").read_text())
            config |= {
                "other keypoints": {"keypoints": "tracks-3"},
                "other vocabulary": {"vocabulary": ["ONE"]},
                "other format": {"format": 99},
            }[how]
            (folder / "config.json").write_text(json.dumps(config))
        case "a model that is none":
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "model": [1]}))
        case "a number too large":
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "temperature": 10**400}))
        case "half a config":
            (folder / "config.json").write_text("{")
        case "a nested config":
            (folder / "config.json").write_text("[" * 100_000)
        case "a huge config":
            (folder / "config.json").write_text(" " * (5 << 20) + "{}")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "cannot read the weights"),
        ("garbage", "cannot read the weights"),
        ("empty", "cannot read the weights"),
        ("pickle", "contains pickled weights (model.pt)"),
        ("pickle under another name", "is a pickle under another name"),
        ("zipped pickle", "is a pickle under another name"),
        ("other keypoints", "keypoints"),
        ("other vocabulary", "1 glosses but the model has 5"),
        ("other format", "format 99"),
        ("a model that is none", "damaged or incomplete"),
        ("a number too large", "damaged or incomplete"),
        ("half a config", "cannot read"),
        ("a nested config", "cannot read"),
        ("a huge config", "is larger than"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_the_old_one_goes_on(
    settings: Settings, client: httpx.AsyncClient, how: str, said: str
) -> None:
    damage(another(settings, settings.checkpoint_dir / "bad", "bad"), how)
    body = assert_problem(await client.post("/checkpoints/bad/activate"), 422, "checkpoint_refused")
    assert said in body["detail"]
    assert await predict(client) == "tiny"
    (listed,) = [c for c in (await client.get("/checkpoints")).json()["checkpoints"] if c["id"] == "tiny"]
    assert listed["active"]
    again = await client.post("/checkpoints/tiny/activate")
    assert again.status_code == 200, again.text


async def test_a_word_error_rate_that_is_no_number_is_unknown(settings: Settings, client: httpx.AsyncClient) -> None:
    for number, wer in enumerate((float("nan"), float("inf"), True, "0.2", 10**400)):
        folder = another(settings, settings.checkpoint_dir / f"odd-{number}", f"odd-{number}")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "provenance": {"wer": wer}}))
    answer = await client.get("/checkpoints")
    assert answer.status_code == 200, answer.text
    assert {c["wer"] for c in answer.json()["checkpoints"] if c["id"].startswith("odd-")} == {None}


async def test_the_page_is_there(client: httpx.AsyncClient) -> None:
    page = await client.get("http://localhost/training")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("training.js", "training.css", "chart.js", "api.js"):
        assert (await client.get(f"http://localhost/web/{name}")).status_code == 200
