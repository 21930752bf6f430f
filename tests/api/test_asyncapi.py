"""The AsyncAPI document is valid, and says what the doors do; tests/api/conftest.py holds every event to it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema_rs
import pytest
import websockets
from fastapi import FastAPI

from app.api import asyncapi
from app.services.captions.commands import JsonMessage
from app.services.captions.events import CaptionEvent
from app.services.speech.live.events import SpeechEvent
from tests.support.described import checked_events, validator
from tests.support.recognisers import performance
from tests.support.serving import served

#: Of @asyncapi/specs 6.8.1 (Apache-2.0), without its descriptions and examples.
SCHEMA = Path(__file__).resolve().parents[1] / "data/asyncapi-3.0.0.schema.json"


def faults(document: dict[str, Any]) -> list[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [str(fault) for fault in jsonschema_rs.Draft7Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("host", [None, "captions.example.org"])
def test_it_is_valid(host: str | None) -> None:
    document = asyncapi.document(host, secure=True, accounts=True)
    assert faults(document) == []
    document["channels"]["captions"]["adress"] = "/"
    assert faults(document) != []


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document("localhost:8000", accounts=True)

    def references(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = set(references(document))
    assert len(found) > 50
    for reference in found:
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


def test_every_message_of_the_service_is_there() -> None:
    channels = asyncapi.document()["channels"]
    assert {channel["address"] for channel in channels.values()} == {
        *("/api/ws/stream", "/api/ws/speech", "/api/live/follow", "/socket.io")
    }
    for name, union in (("captions", CaptionEvent), ("speech", SpeechEvent)):
        kinds = {model.model_fields["type"].default for model in get_args(get_args(union)[0])} - {"prediction"}
        events = {message.removeprefix("event.") for message in channels[name]["messages"] if "event." in message}
        assert events == kinds
    said = {model.model_fields["type"].default for model in get_args(JsonMessage)}
    for name, binary in (("captions", "binary"), ("socketio", "message")):
        assert {m.removeprefix("message.") for m in channels[name]["messages"] if "message." in m} == said | {binary}


def test_what_is_not_as_described_is_found() -> None:
    check = validator("captions")
    pong = {"type": "pong", "seq": 3}
    assert check.is_valid(pong)
    assert not check.is_valid({"type": "pong"})
    assert not check.is_valid({**pong, "more": 1})
    assert not validator("socketio", "prediction").is_valid({"label": "HELLO"})


@pytest.mark.asyncio(loop_scope="session")
async def test_it_is_served_with_the_address_of_the_service(client: httpx.AsyncClient) -> None:
    document = (await client.get("/asyncapi.json")).json()
    assert document["servers"]["ws"] == {"host": client.base_url.netloc.decode(), "protocol": "ws"}
    assert faults(document) == []
    assert "security" not in document["operations"]["receive.captions"]  # in AUTH_MODE=open


@pytest.mark.asyncio(loop_scope="session")
async def test_a_whole_session_is_as_described(application: FastAPI) -> None:
    async with served(application) as host:
        with checked_events() as found:
            async with websockets.connect(f"ws://{host}/api/ws/stream") as socket, asyncio.timeout(60):
                for i, points in enumerate(performance(60)):
                    sent = {"type": "landmarks", "points": points.tolist(), "timestamp": 40 * i}
                    await socket.send(json.dumps(sent))
                await socket.send('{"type": "stop"}')
                kinds = [json.loads(text)["type"] async for text in socket]
            assert found == []
        assert {"ready", "final", "done"} <= set(kinds)
