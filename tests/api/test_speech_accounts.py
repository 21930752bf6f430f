"""Speech for accounts: what it costs, paying once, and a voice of one's own from its consent to its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI

from app.core.settings import Settings
from app.services.billing import admin
from app.speech import audio
from app.speech.engines import Reference
from app.speech.likeness import measured
from app.speech.translation.apertium import Apertium
from app.speech.voice.espeak import Espeak
from tests.conftest import fresh_database
from tests.support.accounts import Person, client_of, guarded, person, running
from tests.support.ledger import balance, rows
from tests.support.problems import assert_problem
from tests.support.serving import served
from tests.support.speech import need, tone, wav

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = "My sister lives in a small house near the sea, and the children play."
SILENCE = wav(np.zeros(5 * 16_000, np.int16))
VOICE = "/api/speech/voice"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(
    tiny_settings: Settings, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    """The free plan grants nothing, and has a voice and both languages."""
    need(Espeak(), Apertium())
    table = tmp_path_factory.mktemp("plans") / "plans.toml"
    text = (Path(__file__).parents[2] / "app/services/billing/plans.toml").read_text()
    free, rest = text.split("[plans.pro]")
    free = free.replace("1_800", "0").replace('["en"]', '["en", "es"]').replace("voice = false", "voice = true")
    table.write_text(free + "[plans.pro]" + rest)
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, plans_file=table, speech_translator="auto")) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def with_credits(app: FastAPI, credits: int) -> Person:
    someone = await person(app)
    if credits:
        await admin.adjust(app.state.services.credits, UUID(someone.id), credits, "for a test", None)
    return someone


async def left(app: FastAPI, someone: Person) -> tuple[int, int]:
    """Credits, and those that are held."""
    total, _, held = await balance(app.state.services.database, UUID(someone.id))
    return total, held


REQUESTS = {
    "/api/speech/translate": ({"json": {"text": TEXT, "target": "es"}}, 5),
    "/api/speech/synthesise": ({"json": {"text": TEXT, "language": "en"}}, 5),
    "/v1/audio/speech": ({"json": {"input": TEXT, "response_format": "wav"}}, 5),
    "/api/speech/transcribe": ({"files": {"file": ("a.wav", SILENCE)}, "params": {"language": "en"}}, 5),
    "/v1/audio/transcriptions": ({"files": {"file": ("a.wav", SILENCE)}, "data": {"language": "en"}}, 5),
}


@pytest.mark.parametrize("path", REQUESTS)
async def test_speech_costs_its_seconds_once_for_each_key(app: FastAPI, client: httpx.AsyncClient, path: str) -> None:
    request, cost = REQUESTS[path]
    someone = await with_credits(app, 2 * cost)
    headers = {**someone.headers, "Idempotency-Key": f"key of {path}".replace(" ", "-")}
    first = await client.post(path, headers=headers, **request)  # type: ignore[arg-type]
    assert first.status_code == 200, first.text
    assert await left(app, someone) == (cost, 0)
    again = await client.post(path, headers=headers, **request)  # type: ignore[arg-type]
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await left(app, someone) == (cost, 0)
    assert (await client.post(path, headers=someone.headers, **request)).status_code == 200  # type: ignore[arg-type]
    assert await left(app, someone) == (0, 0)
    refused = await client.post(path, headers=someone.headers, **request)  # type: ignore[arg-type]
    assert_problem(refused, 402, "insufficient_credits")


async def test_another_text_with_the_same_key_is_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 20)
    headers = {**someone.headers, "Idempotency-Key": "one"}
    for path, name in (("/api/speech/synthesise", "text"), ("/v1/audio/speech", "input")):
        headers["Idempotency-Key"] = name
        assert (await client.post(path, headers=headers, json={name: "One."})).status_code == 200
        assert_problem(await client.post(path, headers=headers, json={name: "Two."}), 422, "idempotency_mismatch")


async def test_what_fails_costs_nothing(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 20)
    files = {"file": ("a.wav", b"no sound")}
    assert_problem(await client.post("/api/speech/transcribe", headers=someone.headers, files=files), 415, "not_audio")
    assert await left(app, someone) == (20, 0)


# -- a voice of one's own --------------------------------------------------------------------------------------------


def sample(hertz: float) -> dict[str, tuple[str, bytes]]:
    return {"file": ("me.wav", audio.whole_wav(Espeak().speak(TEXT, "en", Reference(b"", hertz, None))))}


async def test_from_consent_to_its_end(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone, other = await with_credits(app, 60), await with_credits(app, 60)
    spoken = {"text": TEXT, "language": "en", "own_voice": True}
    synthesise = "/api/speech/synthesise"
    assert_problem(await client.put(VOICE, headers=someone.headers, files=sample(80)), 422, "invalid_request")
    refused = await client.put(f"{VOICE}?consent=false", headers=someone.headers, files=sample(80))
    assert_problem(refused, 422, "invalid_request")
    assert_problem(await client.get(VOICE, headers=someone.headers), 404, "no_own_voice")
    assert_problem(await client.post(synthesise, headers=someone.headers, json=spoken), 404, "no_own_voice")

    answers = await asyncio.gather(
        *(client.put(f"{VOICE}?consent=true", headers=someone.headers, files=sample(80)) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {200}
    body = (await client.get(VOICE, headers=someone.headers)).json()
    assert body["used_as"] == "fitted"
    assert body["pitch_hz"] == pytest.approx(80, rel=0.08)
    assert "I agree" in body["consent"]
    assert_problem(await client.get(VOICE, headers=other.headers), 404, "no_own_voice")

    sound = await client.post(synthesise, headers=someone.headers, json=spoken)
    assert sound.headers["own-voice"] == "fitted"
    plain = await client.post(synthesise, headers=someone.headers, json={**spoken, "own_voice": False})
    assert "own-voice" not in plain.headers
    pitches = [measured(audio.decode(heard.content, audio.Limits(60))).pitch_hz for heard in (sound, plain)]
    assert pitches == [pytest.approx(80, rel=0.08), pytest.approx(102, rel=0.08)]

    start = json.dumps({"type": "start", "voice": "es", "own_voice": True})
    async with served(app) as host:
        for who, used in ((someone, "fitted"), (other, None)):
            url = f"ws://{host}/api/ws/stream"
            async with websockets.connect(url, additional_headers=who.headers) as socket:
                await socket.send(start)
                assert json.loads(await socket.recv())["config"]["own_voice"] == used
                if used is None:
                    assert json.loads(await socket.recv())["code"] == "no_own_voice"

    exported = (await client.get("/api/account/export", headers=someone.headers)).json()["own_voice"]
    assert len(exported["sample"]) > 10_000
    assert (await client.delete(VOICE, headers=someone.headers)).status_code == 204
    assert_problem(await client.delete(VOICE, headers=someone.headers), 404, "no_own_voice")
    assert await rows(app.state.services.database, "SELECT 1 FROM own_voices") == []


async def test_it_goes_with_the_account(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 0)
    assert (await client.put(f"{VOICE}?consent=true", headers=someone.headers, files=sample(120))).status_code == 200
    database = app.state.services.database
    assert len(await rows(database, "SELECT 1 FROM own_voices")) == 1
    async with database.session() as session:
        from sqlalchemy import text

        await session.execute(text("DELETE FROM users WHERE id = :id"), {"id": UUID(someone.id)})
    assert await rows(database, "SELECT 1 FROM own_voices") == []


BAD_SAMPLES = {
    "too short": (wav(tone(1)), 422, "invalid_request"),
    "too long": (wav(tone(40)), 413, "audio_too_long"),
    "silence": (SILENCE, 422, "invalid_request"),
    "a text": (b"this is no sound", 415, "not_audio"),
    "nine megabytes": (b"RIFF" + bytes(9 << 20), 413, "upload_too_large"),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
async def test_bad_samples_are_refused(app: FastAPI, client: httpx.AsyncClient, name: str) -> None:
    content, status, code = BAD_SAMPLES[name]
    someone = await with_credits(app, 0)
    files = {"file": ("me.wav", content)}
    assert_problem(await client.put(f"{VOICE}?consent=true", headers=someone.headers, files=files), status, code)


async def test_without_a_database_there_is_no_own_voice(tiny_settings: Settings) -> None:
    need(Espeak())
    async with running(tiny_settings) as app, client_of(app) as client:
        answer = await client.post("/api/speech/synthesise", json={"text": TEXT, "own_voice": True})
        assert_problem(answer, 503, "database_unavailable")
