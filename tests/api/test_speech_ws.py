"""Live speech over its WebSocket with real engines."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI

from app.core.settings import Settings
from app.services.conversation.translation import PatientTranslator
from app.speech import audio
from tests.api.test_speech import SAID, is_about
from tests.support.serving import running, served
from tests.support.speech import need_all, spoken

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHUNK = 1600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    need_all()
    changes = {
        "speech_translator": "auto",
        "data_dir": tmp_path_factory.mktemp("data"),
        "max_speech_sessions": 3,
    }
    with pytest.MonkeyPatch.context() as patch:
        # A caption waits 0.3 s for its translation, which takes longer on a busy machine.
        patch.setattr("app.main.PatientTranslator", partial(PatientTranslator, wait_s=60))
        async with running(tiny_settings.model_copy(update=changes)) as app:
            await asyncio.to_thread(app.state.services.speech.transcriber().load)
            yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(app: FastAPI) -> AsyncIterator[str]:
    async with served(app) as host:
        yield f"ws://{host}/api/ws/speech"


def pcm(text: str, language: str, silence_s: float = 1.0) -> bytes:
    heard = audio.decode(spoken(text, language), audio.Limits(60))
    return audio.to_int16(np.concatenate([heard, np.zeros(int(16_000 * silence_s), np.float32)])).tobytes()


async def send_sound(socket: Any, sound: bytes, pace: float = 0.05) -> None:
    for at in range(0, len(sound), 2 * CHUNK):
        await socket.send(sound[at : at + 2 * CHUNK])
        await asyncio.sleep(pace)


async def rest(socket: Any) -> list[dict[str, Any]]:
    events = []
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            events.append(json.loads(await socket.recv()))
    return events


def of(events: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] in kinds]


async def test_speech_becomes_captions_in_two_languages_and_a_voice(address: str) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "language": "en", "voice": "es", "signs": True}))
        await send_sound(socket, pcm(SAID, "en"))
        await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    ready = events[0]
    assert (ready["type"], ready["engines"]) == (
        "ready",
        {"transcription": "whisper", "translation": "apertium", "voice": "espeak-ng"},
    )
    (final,) = of(events, "final")
    assert is_about(final["sentence"], SAID)
    assert final["text"]["en"] == final["sentence"]
    assert final["text"]["es"].startswith("Necesito ir")
    assert final["reason"] in ("endpoint", "flush")
    assert {"IX-1", "NEED", "GO"} <= set(final["signs"]["glosses"])
    assert all(word["final"] for word in final["words"])
    times = [(word["start_ms"], word["end_ms"]) for word in final["words"]]
    assert times == sorted(times)
    assert all(event["text"]["en"] for event in of(events, "partial"))
    sound = of(events, "audio")
    assert sound[-1]["last"]
    assert sum(len(base64.b64decode(piece["data"])) for piece in sound) / 2 / 24_000 > 1
    assert events[-1]["type"] == "done"
    assert events[-1]["usage"]["segments"] == 1
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})


async def test_ogg_is_read_and_the_language_is_found(address: str) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "encoding": "webm", "interim": False}))
        file = spoken("Mi hermana vive en California y trabaja en una escuela.", "es", "ogg")
        for at in range(0, len(file), 2000):
            await socket.send(file[at : at + 2000])
        await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    finals = of(events, "final")
    assert finals, events
    assert {event["language"] for event in finals} == {"es"}
    assert "vive en california" in finals[0]["sentence"].lower()
    assert "California" in finals[0]["text"]["en"]


async def test_nothing_is_said_of_silence(address: str) -> None:
    async with websockets.connect(address) as socket:
        noise = np.random.default_rng(0).normal(0, 40, 32_000).astype("<i2").tobytes()
        await send_sound(socket, noise, 0)
        await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    assert of(events, "partial", "final") == []
    assert events[-1]["usage"] == {"seconds": 2.0, "dropped_s": 0.0, "segments": 0}


async def test_a_lost_connection_is_resumed_and_no_final_is_lost(address: str) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "language": "en", "interim": False}))
        ready = json.loads(await socket.recv())
        await send_sound(socket, pcm(SAID, "en"), 0)
        socket.transport.abort()
    resume = {"session_id": ready["session_id"], "token": ready["resume_token"], "last_seq": ready["seq"]}
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "resume": resume}))
        await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    assert (events[0]["type"], events[0]["session_id"]) == ("ready", ready["session_id"])
    assert is_about(of(events, "final")[0]["sentence"], SAID)


@pytest.mark.parametrize(
    ("message", "code", "close"),
    [
        (json.dumps({"type": "start", "language": "fr"}), "bad_start", 4400),
        (json.dumps({"type": "start", "rate": 1000}), "bad_start", 4400),
        (json.dumps({"type": "start", "targets": ["en", "xx"]}), "bad_start", 4400),
        (b"x" * ((1 << 18) + 1), "too_big", 1009),
    ],
)
async def test_bad_starts_are_refused(address: str, message: str | bytes, code: str, close: int) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(message)
        events = await rest(socket)
        assert (events[-1]["type"], events[-1]["code"], socket.close_code) == ("error", code, close)


async def test_bad_messages_do_not_end_the_session(address: str) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start"}))
        for message in ("{", "[]", json.dumps({"type": "dance"}), b"", json.dumps({"type": "start"})):
            await socket.send(message)
        await socket.send(json.dumps({"type": "ping"}))
        await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    codes = [event["code"] for event in of(events, "error")]
    assert codes == ["malformed_message", "malformed_message", "unknown_type", "invalid_message", "bad_start"]
    assert events[-1]["type"] == "done"


async def test_garbage_for_webm_is_an_error(address: str) -> None:
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "start", "encoding": "webm"}))
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(5):
                await socket.send(b"\x00garbage" * 2000)
            await socket.send(json.dumps({"type": "stop"}))
        events = await rest(socket)
    assert of(events, "final") == []
    assert events[-1]["type"] in ("error", "done")


async def test_beyond_the_limit_sessions_are_refused(address: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            socket = await stack.enter_async_context(websockets.connect(address))
            await socket.send(json.dumps({"type": "start"}))
            assert json.loads(await socket.recv())["type"] == "ready"
        async with websockets.connect(address) as socket:
            await socket.send(json.dumps({"type": "start"}))
            events = await rest(socket)
            assert (events[-1]["code"], socket.close_code) == ("full", 1013)
