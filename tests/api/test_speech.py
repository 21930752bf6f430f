"""Speech over HTTP with real engines: espeak-ng speaks, Whisper listens, Apertium translates."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jiwer
import numpy as np
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI

from app.core.settings import Settings
from app.speech import audio
from app.speech.translation.apertium import Apertium
from app.speech.voice.espeak import Espeak
from tests.support.media import npz, video
from tests.support.problems import assert_problem
from tests.support.recognisers import performance
from tests.support.serving import client_of, running, served
from tests.support.speech import huge_wav, music, need, need_all, spoken, tone, wav

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    changes = {"speech_translator": "auto", "data_dir": tmp_path_factory.mktemp("data"), "max_speech_s": 60.0}
    async with running(tiny_settings.model_copy(update=changes)) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


SAID = "I need to go to the doctor tomorrow."


def is_about(heard: str, said: str, wer: float = 0.3) -> bool:
    """Whether at most this share of the words is wrong: a robot's voice is not always understood."""
    plain = [re.sub(r"[^\w ]", "", text.lower()) for text in (said, heard)]
    return float(jiwer.wer(*plain)) <= wer


async def transcribed(client: httpx.AsyncClient, content: bytes, **query: Any) -> httpx.Response:
    return await client.post("/api/speech/transcribe", files={"file": ("speech", content)}, params=query, timeout=300)


async def test_an_english_sentence_becomes_spanish_speech(client: httpx.AsyncClient) -> None:
    """The walking skeleton: voice -> text -> translation -> voice -> text, all with real engines."""
    need_all()
    heard = await transcribed(client, spoken(SAID, "en"))
    assert heard.status_code == 200, heard.text
    body = heard.json()
    assert (body["language"], body["engine"]) == ("en", "whisper")
    assert is_about(body["text"], SAID)
    words = [word for segment in body["segments"] for word in segment["words"]]
    assert [word["text"] for word in words] == body["text"].split()
    assert all(0 <= word["start_s"] <= word["end_s"] <= body["duration_s"] + 0.1 for word in words)
    answer = await client.post("/api/speech/translate", json={"text": SAID, "target": "es"})
    assert answer.json()["text"] == "Necesito ir al doctor mañana."
    assert (answer.json()["source"], answer.json()["engine"]) == ("en", "apertium")
    sound = await client.post("/api/speech/synthesise", json={"text": answer.json()["text"], "format": "ogg"})
    assert (sound.status_code, sound.headers["content-type"]) == (200, "audio/ogg")
    back = (await transcribed(client, sound.content, words=False)).json()
    assert back["language"] == "es"
    assert is_about(back["text"], "Necesito ir al doctor mañana.", 0.5)
    assert back["segments"][0]["words"] == []


@pytest.mark.parametrize("form", ["wav", "ogg", "mp3", "flac", "aac"])
async def test_formats_are_read(form: audio.Format) -> None:
    need(Espeak())
    heard = audio.decode(spoken("Good morning.", "en", form), audio.Limits(10))
    assert 0.5 < len(heard) / 16_000 < 3
    assert 0.05 < np.abs(heard).max() <= 1


async def test_nothing_is_heard_in_silence_noise_and_tones(client: httpx.AsyncClient) -> None:
    need_all()
    noise = np.random.default_rng(0).normal(0, 300, 48_000).astype(np.int16)
    for samples in (np.zeros(48_000, np.int16), noise, tone(3), music(3)):
        answer = await transcribed(client, wav(samples), language="en")
        assert (answer.status_code, answer.json()["text"]) == (200, "")
        assert answer.json()["duration_s"] == 3.0


async def test_nor_in_live_speech(app: FastAPI) -> None:
    need_all()
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    for samples in (
        np.zeros(48_000, np.float32),
        noise,
        audio.from_int16(tone(3).tobytes()),
        audio.from_int16(music(3).tobytes()),
    ):
        heard = await asyncio.to_thread(app.state.services.speech.transcriber().draft, samples, None)
        assert (heard.text, heard.duration_s) == ("", 3.0)


async def test_an_unsupported_language_is_refused(client: httpx.AsyncClient) -> None:
    need_all()
    assert_problem(await transcribed(client, wav(tone(1)), language="fr"), 422, "invalid_request")
    body = {"text": "Bonjour.", "source": "fr", "target": "en"}
    assert_problem(await client.post("/api/speech/translate", json=body), 422, "invalid_request")


async def test_stereo_at_192_khz_is_read() -> None:
    both = np.repeat(tone(2, 192_000), 2)
    heard = audio.decode(wav(both, 192_000, 2), audio.Limits(10))
    assert len(heard) == pytest.approx(32_000, abs=20)
    assert 0.2 < np.abs(heard).max() < 0.4


BAD_AUDIO = {
    "a text": (b"this is no sound", 415, "not_audio"),
    "nothing": (b"", 400, "empty_file"),
    "a playlist that names a file": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 415, "not_audio"),
    "a header alone": (audio.wav_header(16_000, 16_000), 422, "undecodable_audio"),
    "1 kHz": (wav(tone(1, 1000), 1000), 422, "undecodable_audio"),
    "400 kHz": (wav(tone(0.1), 400_000), 422, "undecodable_audio"),
    "16 channels": (wav(tone(1), 16_000, 16), 422, "undecodable_audio"),
    "longer than MAX_SPEECH_S": (wav(np.zeros(62 * 4000, np.int16), 4000), 413, "audio_too_long"),
}


@pytest.mark.parametrize("name", BAD_AUDIO)
async def test_bad_audio_is_refused(client: httpx.AsyncClient, name: str) -> None:
    need_all()
    content, status, code = BAD_AUDIO[name]
    assert_problem(await transcribed(client, content), status, code)


async def test_a_video_without_sound_is_refused(client: httpx.AsyncClient, tmp_path: Path) -> None:
    need_all()
    path = video(tmp_path / "silent.mp4", frames=10)
    assert_problem(await transcribed(client, path.read_bytes()), 415, "not_audio")


async def test_three_hours_are_refused_without_being_decoded(tmp_path: Path) -> None:
    huge_wav(tmp_path / "long.wav", 3)
    with pytest.raises(audio.InvalidAudio, match="lasts 10800 s") as refused:
        audio.decode(tmp_path / "long.wav", audio.Limits(600))
    assert refused.value.code == "too_long"


async def test_a_truncated_file_is_read_as_far_as_it_goes() -> None:
    need(Espeak())
    whole = spoken(f"{SAID} My sister has a dog.", "en", "ogg")
    heard = audio.decode(whole[: len(whole) * 6 // 10], audio.Limits(60))
    assert 1.5 < len(heard) / 16_000 < 3.5


#: What hostile text would make if a shell or an option parser read it.
OWNED = "owned"
HOSTILE = [
    "$(touch /tmp/owned) `id` ; rm -rf / | cat & > x",
    "-w /tmp/owned --version",
    "--stdout -v en",
    "a\x00b\x1b[31m\u202eevil\ud800",
    "<speak><audio src='file:///etc/passwd'/></speak> [[h@'loU]]",
    "^unknown<n>$ [<b>] {x} @ \\ / *",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_text(client: httpx.AsyncClient, text: str) -> None:
    need_all()
    sent = text.encode("utf-8", "replace").decode()
    translated = await client.post("/api/speech/translate", json={"text": sent, "source": "en", "target": "es"})
    assert translated.status_code == 200, translated.text
    for kept in "`;|&{}@\\":
        assert translated.json()["text"].count(kept) == sent.count(kept)
    sound = await client.post("/api/speech/synthesise", json={"text": sent, "language": "en"})
    assert sound.status_code == 200, sound.text
    assert len(audio.decode(sound.content, audio.Limits(60))) > 8_000
    assert not any(name == OWNED for name in os.listdir("/tmp"))


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("translate", {"text": "x" * 5001, "target": "es"}, 413, "text_too_long"),
        ("translate", {"text": "x" * (1 << 20), "target": "es"}, 413, "upload_too_large"),
        ("translate", {"text": "x", "target": "fr"}, 422, "invalid_request"),
        ("synthesise", {"text": "", "language": "en"}, 422, "invalid_request"),
        ("synthesise", {"text": "\u0000\u200b!", "language": "en"}, 422, "invalid_request"),
        ("synthesise", {"text": "x", "language": "xx"}, 422, "invalid_request"),
        ("synthesise", {"text": "x", "format": "exe"}, 422, "invalid_request"),
    ],
)
async def test_bad_text_is_refused(
    client: httpx.AsyncClient, path: str, body: dict[str, str], status: int, code: str
) -> None:
    need_all()
    assert_problem(await client.post(f"/api/speech/{path}", json=body), status, code)


async def test_the_engines_are_listed(client: httpx.AsyncClient) -> None:
    entries = (await client.get("/api/speech/engines")).json()["engines"]
    assert {(e["job"], e["name"]) for e in entries if e["chosen"]} == {
        ("transcription", "whisper"),
        ("translation", "apertium"),
        ("voice", "espeak-ng"),
    }
    assert all(entry["available"] or entry["remedy"] for entry in entries)
    openai = next(entry for entry in entries if entry["name"] == "openai")
    assert (openai["available"], openai["remedy"]) == (False, "Set SPEECH_API_URL.")


async def test_without_engines_the_answer_names_the_command(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from app.speech import programs
    from app.speech.translation import apertium

    monkeypatch.setattr(programs, "found", lambda name: None)
    monkeypatch.setattr(apertium.Apertium, "_mode", lambda self, direction: tmp_path / "none")
    changes = {"speech_translator": "auto", "whisper_model": str(tmp_path)}
    async with running(tiny_settings.model_copy(update=changes)) as app, client_of(app) as client:
        answer = await transcribed(client, b"x")
        assert_problem(answer, 503, "speech_unavailable")
        assert "WHISPER_MODEL" in answer.json()["detail"]
        answer = await client.post("/api/speech/translate", json={"text": "x", "target": "es"})
        assert_problem(answer, 503, "speech_unavailable")
        assert answer.json()["remedy"] == "apt-get install apertium-eng-spa"
        answer = await client.post("/api/speech/synthesise", json={"text": "x"})
        assert_problem(answer, 503, "speech_unavailable")
        assert "apt-get install espeak-ng" in answer.json()["detail"]


async def test_the_official_openai_client_can_use_the_aliases(app: FastAPI) -> None:
    need_all()
    openai = pytest.importorskip("openai")
    async with served(app) as host, openai.AsyncOpenAI(base_url=f"http://{host}/v1", api_key="any") as client:
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=SAID
        ) as sound:
            mp3 = await sound.read()
        verbose = await client.audio.transcriptions.create(
            model="whisper-1",
            file=("speech.mp3", mp3),
            language="en",
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
        assert (verbose.language, len(verbose.segments)) == ("english", 1)
        assert is_about(verbose.text, SAID)
        assert 6 <= len(verbose.words) <= 10
        with pytest.raises(openai.APIStatusError) as refused:
            await client.audio.transcriptions.create(model="x", file=("s.mp3", mp3), language="xx")
        assert refused.value.status_code == 422


# -- signs to Spanish ------------------------------------------------------------------------------------------------


async def test_signs_come_with_their_spanish(app: FastAPI, client: httpx.AsyncClient) -> None:
    """HTTP, subtitles and live."""
    need(Apertium())
    file = {"file": ("signs.npz", npz(40))}
    body = (await client.post("/api/inference/landmarks", files=file)).json()
    assert body["sentence"]
    assert body["text"]["es"]
    assert body["text"]["es"] != body["sentence"]
    srt = await client.post("/api/inference/landmarks", files=file, params={"format": "srt", "language": "es"})
    english = await client.post("/api/inference/landmarks", files=file, params={"format": "srt"})
    assert srt.status_code == 200, srt.text
    assert srt.text.splitlines()[:2] == english.text.splitlines()[:2]
    assert srt.text != english.text
    async with served(app) as host, websockets.connect(f"ws://{host}/api/ws/stream") as socket:
        await socket.send(json.dumps({"type": "start", "targets": ["en", "es"]}))
        for i, points in enumerate(performance(60)):
            await socket.send(json.dumps({"type": "landmarks", "points": points.tolist(), "timestamp": i * 40}))
        await socket.send(json.dumps({"type": "stop"}))
        events = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                events.append(json.loads(await socket.recv()))
    captions = [event for event in events if event["type"] in ("partial", "final")]
    assert any(event["type"] == "final" for event in captions)
    assert all(event["text"]["es"] for event in captions if event["sentence"])
    assert not [event for event in events if event["type"] == "warning"]
    assert events[-1]["type"] == "done"


async def test_signs_are_read_aloud(app: FastAPI) -> None:
    need(Apertium(), Espeak())
    async with served(app) as host, websockets.connect(f"ws://{host}/api/ws/stream") as socket:
        await socket.send(json.dumps({"type": "start", "voice": "es"}))
        for i, points in enumerate(performance(60)):
            await socket.send(json.dumps({"type": "landmarks", "points": points.tolist(), "timestamp": i * 40}))
        await socket.send(json.dumps({"type": "stop"}))
        events = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                events.append(json.loads(await socket.recv()))
    assert (events[0]["config"]["voice"], events[0]["config"]["targets"]) == ("es", ["en", "es"])
    finals = [event for event in events if event["type"] == "final" and event["sentence"]]
    sound = [event for event in events if event["type"] == "audio"]
    assert finals
    assert [event["segment"] for event in sound if event["last"]] == [event["segment"] for event in finals]
    assert {event["language"] for event in sound} == {"es"}
    assert sum(len(base64.b64decode(event["data"])) for event in sound) > 24_000
    assert events[-1]["type"] == "done"


async def test_without_a_voice_captions_of_signs_go_on(tiny_settings: Settings) -> None:
    async with (
        running(tiny_settings.model_copy(update={"speech_voice": "off"})) as app,
        served(app) as host,
        websockets.connect(f"ws://{host}/api/ws/stream") as socket,
    ):
        await socket.send(json.dumps({"type": "start", "voice": "en"}))
        await socket.send(json.dumps({"type": "stop"}))
        ready, warning = json.loads(await socket.recv()), json.loads(await socket.recv())
    assert (ready["type"], ready["config"]["voice"]) == ("ready", None)
    assert (warning["code"], "SPEECH_VOICE" in warning["message"]) == ("no_voice", True)


async def test_live_captions_go_on_when_the_translator_is_killed(app: FastAPI) -> None:
    need(Apertium())
    async with served(app) as host, websockets.connect(f"ws://{host}/api/ws/stream") as socket:
        await socket.send(json.dumps({"type": "start", "targets": ["en", "es"], "interim": False}))
        translator = app.state.services.speech.engines.translator._inner

        async def sentence(begin: int) -> list[dict[str, Any]]:
            for i, points in enumerate(performance(40, begin)):
                time_ms = (begin * 40 + i) * 40
                await socket.send(json.dumps({"type": "landmarks", "points": points.tolist(), "timestamp": time_ms}))
            await socket.send(json.dumps({"type": "flush"}))
            found: list[dict[str, Any]] = []
            while not found or found[-1]["type"] != "final":
                found.append(json.loads(await socket.recv()))
            return found

        assert (await sentence(0))[-1]["text"]["es"]
        for pid in translator.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for begin in range(1, 8):  # comes back by itself
            last = (await sentence(begin))[-1]
            assert last["sentence"]
            if last["text"]["es"]:
                break
            await asyncio.sleep(1)
        assert last["text"]["es"]


async def test_spanish_text_is_signed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/signs/perform", json={"text": "Mi madre quiere agua."})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["language"], content["translator"]) == ("es", "apertium")
    assert content["glosses"] == ["MY", "MOTHER", "WANT", "WATER"]
    assert [content["english"][w["start"] : w["end"]] for w in content["words"]] == [
        w["text"] for w in content["words"]
    ]
