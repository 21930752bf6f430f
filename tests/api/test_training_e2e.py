"""The service as users run it, a real trainer and a real database, over HTTP alone."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from app.services.training_jobs.process import MARK
from app.signer import SAMPLES
from tests.api.test_process import Service, answers, start, until
from tests.conftest import database_folder, fresh_database
from tests.db.test_embedded import server_pid
from tests.support.glosses_corpus import write_corpora
from tests.support.media import signer
from tests.support.recognisers import performance
from tests.support.training_api import write_inputs

pytestmark = pytest.mark.slow
REQUEST = {"dataset": "tiny", "config": "tiny", "device": "cpu"}
#: Steps that nobody waits for.
LONG = {**REQUEST, "overrides": {"optim.steps": 100_000, "optim.save_every": 5, "optim.eval_every": 100_000}}
LARGE = """
kind: glosses
batch_size: 2
workers: 0
save_every: 2
recipe: {fluent: 0.0, single: 1.0}
model: {model_dim: 16, hand_dim: 8, body_dim: 8, hidden: 8, layers: 1, body: head, norm: layer}
stages: {first: {steps: 4}, second: {steps: 3000, seconds: 10}}
"""
ENDED = ("stopped", "finished", "failed", "lost")


def environment_of(folder: Path, checkpoints: Path, database: str) -> dict[str, str]:
    return {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(checkpoints),
        "DEVICE": "cpu",
        "EXTRACTOR_WORKERS": "1",
        "TRAINING": "true",
        "TRAINING_NICE": "0",
        "DATABASE_URL": database,
        **write_inputs(folder),
    }


@pytest.fixture
def environment(tiny_checkpoints: Path, database_url: str, tmp_path: Path) -> dict[str, str]:
    """Of a service that the test starts itself."""
    return environment_of(tmp_path, tiny_checkpoints, database_url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the service that tests share, with its datasets and configs."""
    return tmp_path_factory.mktemp("shared-service")


@pytest.fixture(scope="module")
def shared(folder: Path, tiny_checkpoints: Path, postgres: str) -> Iterator[Service]:
    """A service for tests that leave no job running."""
    with (
        fresh_database(postgres) as database,
        running(environment_of(folder, tiny_checkpoints, database), folder / "log") as service,
    ):
        yield service


@contextmanager
def running(environment: dict[str, str], log: Path, *options: str) -> Iterator[Service]:
    service = start(log, environment, *options)
    try:
        until(lambda: answers(service))
        yield service
    finally:
        service.process.terminate()
        service.process.wait(60)
    assert "Traceback" not in log.read_text()


def api(service: Service, method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = httpx.request(method, f"{service.address}/api/training{path}", json=body, timeout=60)
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


def wait_for(service: Service, job_id: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while (job := api(service, "GET", f"/jobs/{job_id}"))["state"] not in states:
        assert job["state"] not in ENDED, job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def trains(service: Service, job_id: str, step: int = 1) -> dict[str, Any]:
    """The job, when it has come so far."""
    deadline = time.monotonic() + 240
    while ((job := api(service, "GET", f"/jobs/{job_id}"))["progress"]["step"] or 0) < step:
        assert job["state"] not in ENDED, job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def processes(job_id: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == job_id:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def leader(job_id: str) -> int:
    """The trainer's first process: the one that leads its session."""
    (pid,) = [pid for pid in processes(job_id) if os.getsid(pid) == pid]
    return pid


def model(service: Service) -> dict[str, Any]:
    blocks = {name: array.tolist() for name, array in signer(20, 0).items()}
    answer = httpx.post(f"{service.address}/api/inference/landmarks", json={**blocks, "fps": 25}, timeout=60)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def predicted(service: Service) -> dict[str, Any]:
    with (SAMPLES / "hello.mp4").open("rb") as video:
        answer = httpx.post(f"{service.address}/api/inference/predict", files={"file": video}, timeout=120)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def perform(client: ClientConnection, frames: int, first: int) -> None:
    for i in range(0, frames, 10):
        header = struct.pack("<BBHIQ", 1, 3, 0, 0, (first + i) * 40_000)
        client.send(header + performance(frames, 1)[i : i + 10].astype("<f2").tobytes())


def glosses(client: ClientConnection) -> set[str]:
    """Everything a session that is told to stop has said."""
    client.send('{"type": "stop"}')
    said: set[str] = set()
    while (event := json.loads(client.recv(timeout=60)))["type"] != "done":
        said |= {gloss["gloss"] for gloss in event.get("gloss", [])}
    return said


def test_from_start_to_an_answering_recogniser_through_http_alone(environment: dict[str, str], tmp_path: Path) -> None:
    with running(environment, tmp_path / "log") as service:
        job_id = api(service, "POST", "/start", {**REQUEST, "seed": 3})["id"]
        with httpx.stream("GET", f"{service.address}/api/training/jobs/{job_id}/logs?follow=true", timeout=240) as log:
            events = "".join(log.iter_text())  # ends with the job
        assert "event: end" in events
        assert '"state": "finished"' in events
        assert "step 6 of 6: " in events
        done = wait_for(service, job_id, "finished")
        assert (done["progress"]["step"], done["progress"]["steps"]) == (6, 6)
        lines = api(service, "GET", f"/jobs/{job_id}/metrics")["lines"]
        assert [line["step"] for line in lines if "ctc" in line] == [1, 2, 3, 4, 5, 6]
        wer = min(line["wer"] for line in lines if "wer" in line)
        (listed,) = [c for c in api(service, "GET", "/checkpoints")["checkpoints"] if c["id"] == job_id]
        assert (listed["source"], listed["problem"], listed["wer"]) == ("run", None, wer)

        with connect(f"ws://127.0.0.1:{service.port}/ws/stream") as before:
            before.send('{"type": "start"}')
            assert json.loads(before.recv(timeout=60))["model"]["id"] == "tiny"
            perform(before, 50, 0)
            assert api(service, "POST", f"/checkpoints/{job_id}/activate")["live_sessions"] == 1
            answer = model(service)
            assert answer["model"] == job_id
            assert set(answer["gloss"]) <= set(listed["glosses"])
            assert predicted(service)["model"] == job_id
            with connect(f"ws://127.0.0.1:{service.port}/ws/stream") as after:
                after.send('{"type": "start"}')
                assert json.loads(after.recv(timeout=60))["model"]["id"] == job_id
            perform(before, 50, 50)
            said = glosses(before)
            assert said  # the untrained recogniser of the tests babbles
            assert said <= {"HELLO", "THANK-YOU", "YOU", "NAME", "WHAT"}
        until(lambda: processes(job_id) == [], 30)
    with running(environment, tmp_path / "log2") as service:  # the choice lasts
        assert model(service)["model"] == job_id


def test_stop_resume_and_a_killed_process(shared: Service) -> None:
    before = model(shared)["model"]
    job_id = api(shared, "POST", "/start", LONG)["id"]
    trains(shared, job_id, 6)
    refused = httpx.post(f"{shared.address}/api/training/start", json=REQUEST, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_jobs")
    api(shared, "POST", f"/jobs/{job_id}/stop")
    stopped = wait_for(shared, job_id, "stopped")
    assert stopped["exit_code"] == 3
    until(lambda: processes(job_id) == [], 30)
    reached = stopped["progress"]["step"]

    api(shared, "POST", f"/jobs/{job_id}/resume")
    trains(shared, job_id, reached + 1)
    assert api(shared, "GET", f"/jobs/{job_id}")["attempt"] == 2
    os.kill(leader(job_id), signal.SIGKILL)
    failed = wait_for(shared, job_id, "failed")
    assert failed["exit_code"] == -9
    assert "SIGKILL" in failed["reason"]
    assert failed["log_tail"]
    until(lambda: processes(job_id) == [], 30)
    assert model(shared)["model"] == before  # the service never noticed


def test_a_job_of_the_large_vocabulary_with_two_processes(shared: Service, folder: Path) -> None:
    """Started, stopped in its second stage, resumed, finished and activated."""
    people = [
        (word, who, "dev" if who == "eve" else "train") for who in ("ann", "bob", "eve") for word in ("book", "go")
    ]
    write_corpora(folder / "datasets" / "both", people)
    (folder / "configs" / "large.yaml").write_text(LARGE)
    wanted = {"dataset": "both", "config": "large", "device": "cpu", "nproc": 2, "seed": 3}
    job_id = api(shared, "POST", "/start", wanted)["id"]
    trains(shared, job_id, 8)
    api(shared, "POST", f"/jobs/{job_id}/stop")
    stopped = wait_for(shared, job_id, "stopped")
    assert (stopped["resumable"], stopped["progress"]["steps"]) == (True, 3004)
    assert 8 <= stopped["progress"]["step"] < 3004
    api(shared, "POST", f"/jobs/{job_id}/resume")
    wait_for(shared, job_id, "finished")
    assert api(shared, "GET", f"/jobs/{job_id}/metrics")["lines"][-1]["trained"] > stopped["progress"]["step"]
    api(shared, "POST", f"/checkpoints/{job_id}/activate")
    assert model(shared)["model"] == job_id
    until(lambda: processes(job_id) == [], 30)


def test_a_job_outlives_a_killed_service_and_is_stopped_by_an_orderly_end(
    environment: dict[str, str], tmp_path: Path
) -> None:
    first = start(tmp_path / "log1", environment)
    try:
        until(lambda: answers(first))
        job_id = api(first, "POST", "/start", LONG)["id"]
        trains(first, job_id)
        first.process.kill()
        first.process.wait(10)
        pid = leader(job_id)
        with running(environment, tmp_path / "log2") as second:
            job = trains(second, job_id, 3)
            assert (job["state"], job["attempt"]) == ("running", 1)
            assert leader(job_id) == pid
        until(lambda: processes(job_id) == [], 30)
        with running(environment, tmp_path / "log3") as third:
            stopped = api(third, "GET", f"/jobs/{job_id}")
            assert (stopped["state"], stopped["resumable"]) == ("stopped", True)
    finally:
        first.process.kill()
        for pid in processes(job_id):
            os.kill(pid, signal.SIGKILL)


def test_several_processes_share_jobs_choice_and_an_embedded_database(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with database_folder() as folder:
        environment |= {"DATABASE_URL": "", "DATA_DIR": str(folder)}
        with running(environment, tmp_path / "log", "--workers", "2") as service:
            assert server_pid(folder) is not None
            job_id = api(service, "POST", "/start", LONG)["id"]
            for _ in range(8):  # whichever process answers
                assert api(service, "GET", f"/jobs/{job_id}")["id"] == job_id
            trains(service, job_id)
            api(service, "POST", f"/jobs/{job_id}/stop")
            wait_for(service, job_id, "stopped")
            api(service, "POST", f"/checkpoints/{job_id}/activate")
            streak, deadline = 0, time.monotonic() + 60
            while streak < 10:
                streak = streak + 1 if model(service)["model"] == job_id else 0
                assert time.monotonic() < deadline, "the other process did not follow"
            family = psutil.Process(service.process.pid).children(recursive=True)
        # Python's own helper of several processes ends a moment after its parent.
        until(lambda: not psutil.wait_procs(family, timeout=0.1)[1], 30)
        assert server_pid(folder) is None


def test_data_that_cannot_be_trained_on_end_as_a_failed_job_with_the_reason(shared: Service, folder: Path) -> None:
    # A table without a clip.
    (folder / "datasets" / "empty").mkdir()
    (folder / "datasets" / "empty" / "clips.csv").write_text("file,glosses,signer,split,fps\n", encoding="utf-8")
    for request, said in (
        ({**REQUEST, "dataset": "empty"}, "clips.csv"),
        ({**REQUEST, "overrides": {"glosses": ["UNICORN"]}}, "UNICORN"),
        ({**REQUEST, "overrides": {"model.wings": 2}}, "wings"),
    ):
        job_id = api(shared, "POST", "/start", request)["id"]
        failed = wait_for(shared, job_id, "failed")
        assert failed["exit_code"] == 2
        assert said in failed["reason"]
