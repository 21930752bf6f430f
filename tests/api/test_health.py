from __future__ import annotations

from unittest.mock import patch

import httpx
import pytest
from fastapi import FastAPI

from app.core.errors import DeviceFault, NotReady
from tests.conftest import GLOSSES
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_healthy(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/health")).json()
    assert body == {"status": "healthy", "gpu_available": body["gpu_available"], "model_loaded": True}
    assert isinstance(body["gpu_available"], bool)
    assert (await client.get("/api/health/live")).json() == {"status": "alive"}
    ready = (await client.get("/api/health/ready")).json()
    assert ready == {"status": "ready", "model": "tiny", "device": "cpu", "database": "off"}
    assert (await client.get("/healthz")).json() == {"status": "ok", "model": "tiny"}


@pytest.mark.parametrize(("fault", "code"), [(NotReady(), "not_ready"), (DeviceFault(), "device_fault")])
async def test_not_ready(client: httpx.AsyncClient, application: FastAPI, fault: Exception, code: str) -> None:
    with patch.object(application.state.services.host, "check_ready", side_effect=fault):
        assert (await client.get("/api/health")).json()["status"] == "unhealthy"
        assert (await client.get("/api/health/live")).status_code == 200
        assert_problem(await client.get("/api/health/ready"), 503, code)
        assert_problem(await client.get("/healthz"), 503, code)
        assert_problem(await client.post("/api/inference/predict", files={"file": b"x"}), 503, code)


async def test_system(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/health/system")).json()
    assert body["device"] == "cpu"
    assert body["amp"] is False
    assert body["memory"]["resident_bytes"] > 0
    assert body["load"] == {"requests": 0, "requests_limit": 8, "streams": 0, "streams_limit": 16}


async def test_models_and_labels(client: httpx.AsyncClient) -> None:
    (model,) = (await client.get("/api/health/models")).json()["models"]
    assert model.pop("served").keys() == {
        "clips", "clip_calls", "clips_per_call", "windows", "window_calls", "windows_per_call",
    }  # fmt: skip
    sizes = {"vocabulary": "all", "vocabulary_size": len(GLOSSES), "glosses": len(GLOSSES)}
    assert model == {"id": "tiny", "loaded": True, **sizes, "sign_language": "ase"}
    assert (await client.get("/labels")).json() == {str(n): gloss.lower() for n, gloss in enumerate(GLOSSES)}
    body = (await client.get("/api/labels")).json()
    assert body["model"] == "tiny"
    assert body["labels"] == [{"id": number, "gloss": gloss} for number, gloss in enumerate(GLOSSES, start=1)]
