"""Holds the AsyncAPI document to the messages that the service really sends: every one is validated against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from app.api import asyncapi, captions_follow, captions_socketio, speech_ws
from app.api.captions_ws import WebSocketDoor


@cache
def validator(channel: str, event: str | None = None) -> Any:
    """Of what the service sends on this channel, under this name; None: under any."""
    document = asyncapi.document()
    messages = document["channels"][channel]["messages"]
    names = [f"event.{event}"] if event else [name for name in messages if name.startswith("event.")]
    kinds = [messages[name]["payload"] for name in names]
    return jsonschema_rs.Draft7Validator({"oneOf": kinds, "components": document["components"]})


@contextmanager
def checked_events() -> Iterator[list[str]]:
    """What was sent and is not as described; it grows."""
    faults: list[str] = []

    def check(channel: str, sent: dict[str, Any], event: str | None = None) -> None:
        faults.extend(
            f"{channel} {event}: {why.message}: {sent}" for why in validator(channel, event).iter_errors(sent)
        )

    send, emit, written = WebSocketDoor.send, captions_socketio._Client._emit, captions_follow._written

    async def checked_send(door: WebSocketDoor, event: Any) -> None:
        check("speech" if door._parse_text is speech_ws.parse_text else "captions", json.loads(event.model_dump_json()))
        await send(door, event)

    async def checked_emit(client: Any, event: str, content: dict[str, Any]) -> None:
        check("socketio", content, event)
        await emit(client, event, content)

    def checked_written(event: Any) -> str:
        text = written(event)
        name, data = (line.partition(": ")[2] for line in text.strip().split("\n"))
        check("followers", json.loads(data), name)
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WebSocketDoor, "send", checked_send)
        patch.setattr(captions_socketio._Client, "_emit", checked_emit)
        patch.setattr(captions_follow, "_written", checked_written)
        yield faults
