"""What an operator reads with LOG_JSON: one object a line, with the fields of its event and nothing secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from loguru import logger
from websockets.asyncio.client import connect

from app.core.logging import configure_logging, json_sink, principal_id
from app.core.settings import Settings
from app.main import create_app
from app.rpc.server import rpc_server
from tests.support.recognisers import performance
from tests.support.serving import served

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def loggers_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    root.handlers[:] = handlers
    root.setLevel(level)


class Written(io.StringIO):
    """What was logged."""

    def text(self) -> str:
        """All of it since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@pytest.fixture
def written() -> Written:
    return Written()


@pytest_asyncio.fixture
async def application(tiny_settings: Settings, written: Written, loggers_kept: None) -> AsyncIterator[FastAPI]:
    app = create_app(tiny_settings.model_copy(update={"log_json": True, "log_level": "DEBUG"}))
    sink = json_sink()
    assert sink is not None
    async with app.router.lifespan_context(app):
        sink.stream = written
        yield app


def lines(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.text().splitlines()]


def of(event: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    matching = [line for line in found if line["event"] == event]
    assert len(matching) == 1, matching
    return matching[0]


async def test_a_request(application: FastAPI, written: Written) -> None:
    async def known() -> None:
        principal_id.set("key-5")

    application.add_api_route("/known/{number}", known)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://glossline") as client:
        await client.get("/known/7", headers={"X-Request-ID": "mine"})
        known_line = of("http_request", lines(written))
        await client.get("/api/health/live")
        anonymous = of("http_request", lines(written))
    assert known_line["duration_ms"] >= 0
    expected = {"level": "INFO", "request_id": "mine", "method": "GET", "route": "/known/{number}", "status": 200}
    assert expected.items() <= known_line.items()
    assert known_line["principal_id"] == "key-5"
    assert "principal_id" not in anonymous
    assert principal_id.get() == ""


async def test_a_live_session(application: FastAPI, written: Written) -> None:
    async with served(application) as address:
        async with connect(f"ws://{address}/api/ws/stream") as client:
            await client.send(json.dumps({"type": "start"}))
            for frame in performance(20).tolist():
                await client.send(json.dumps({"type": "landmarks", "points": frame}))
            await client.send(json.dumps({"type": "stop"}))
            async for message in client:
                if json.loads(message)["type"] == "done":
                    usage = json.loads(message)["usage"]
        found = lines(written)
    ended, socket = of("session_end", found), of("websocket", found)
    assert ended["received"] == usage["received"] == 20
    assert {"session_id", "used", "dropped", "signs", "segments", "seconds"} <= set(ended)
    assert (socket["route"], socket["status"]) == ("/api/ws/stream", 1000)
    assert socket["request_id"] == ended["request_id"]


async def test_a_grpc_call(application: FastAPI, written: Written) -> None:
    async with (
        rpc_server(application.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        written.text()
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/glossline.v1.Captioner/Recognise")(b"")
    line = of("grpc_call", lines(written))
    assert (line["method"], line["status"]) == ("Recognise", "invalid_request")
    assert line["duration_ms"] >= 0
    assert line["request_id"]
    metrics = application.state.services.metrics
    assert metrics.grpc_calls.labels("Recognise", "invalid_request")._value.get() == 1


async def test_nothing_secret(application: FastAPI, written: Written) -> None:
    """Credentials in every place where a client can put one, and an error that has one in its text."""

    async def broken() -> None:
        raise RuntimeError(f"cannot reach postgresql://glossline:{SECRET}@database/glossline")

    application.add_api_route("/broken", broken)
    headers = {"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET, "Cookie": f"session={SECRET}"}
    body = {"password": SECRET, "dataset": SECRET}
    async with served(application) as address:
        async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as client:
            for path in ("/broken", "/nothing", "/api/labels", "/api/inference/landmarks"):
                await client.post(path, params={"ticket": SECRET, "token": SECRET}, json=body)
                await client.get(path, params={"ticket": SECRET, "token": SECRET})
        async with connect(f"ws://{address}/api/ws/stream?ticket={SECRET}", additional_headers=headers) as socket:
            assert "unauthenticated" in str(await socket.recv())
        async with connect(f"ws://{address}/api/ws/stream", additional_headers={"Cookie": SECRET}) as socket:
            await socket.send(json.dumps({"type": "start", "token": SECRET, "auth": SECRET}))
            await socket.recv()
            await socket.send(json.dumps({"type": SECRET}))
            await socket.recv()
    said = written.text()
    assert "glossline:***@database" in said
    assert len([json.loads(line) for line in said.splitlines()]) > 8
    assert SECRET not in said


def test_text_lines_have_the_same_messages(capsys: pytest.CaptureFixture[str], loggers_kept: None) -> None:
    configure_logging(Settings(_env_file=None))
    logger.bind(event="http_request", status=200).info("GET / 200 1 ms")
    assert capsys.readouterr().err.endswith("GET / 200 1 ms\n")
