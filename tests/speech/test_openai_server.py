"""The client of OpenAI-compatible servers against a local one: real HTTP, real event stream, and every bad answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import numpy as np
import pytest

from app.speech.engines import EngineFailed, EngineMissing, Reference
from app.speech.openai_server import OpenAITranscriber, OpenAITranslator, OpenAIVoice, Server
from tests.support.openai_server import FakeOpenAI, fake_openai
from tests.support.speech import tone, wav


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def at(server: FakeOpenAI) -> Server:
    return Server(server.url, "the key", "the-model")


def test_a_chat_model_translates(server: FakeOpenAI) -> None:
    engine = OpenAITranslator(at(server))
    assert engine.translate("I need to go to the doctor.", "en", "es") == "Necesito ir al médico."
    path, key, body = server.requests[0]
    asked = json.loads(body)
    assert (path, key) == ("/v1/chat/completions", "Bearer the key")
    assert (asked["model"], asked["temperature"], asked["stream"]) == ("the-model", 0, True)
    assert asked["messages"][1] == {"role": "user", "content": "I need to go to the doctor."}
    engine.close()


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("error", "answered 500"),
        ("garbage", "not valid JSON"),
        ("endless", "far longer"),
        ("slow", "more than 0.5 s"),
        ("cut", "ended too early"),
    ],
)
def test_bad_answers_end_soon(server: FakeOpenAI, behaviour: str, says: str) -> None:
    server.behaviour = behaviour
    engine = OpenAITranslator(at(server), whole_s=0.5)
    with pytest.raises(EngineFailed, match=says):
        engine.translate("Hello.", "en", "es")
    server.behaviour = "well"
    assert engine.translate("Hello.", "en", "es") == "Necesito ir al médico."


def test_speech_is_transcribed(server: FakeOpenAI) -> None:
    engine = OpenAITranscriber(at(server))
    found = engine.transcribe(np.zeros(16_000, np.float32), None, words=True)
    assert (found.text, found.language, [word.text for word in found.words]) == ("Hello you", "en", ["Hello", "you"])
    assert b'name="timestamp_granularities[]"' in server.requests[0][2]
    server.behaviour = "garbage"
    with pytest.raises(EngineFailed, match="not valid JSON"):
        engine.transcribe(np.zeros(16_000, np.float32))


def test_a_voice_is_passed_on(server: FakeOpenAI) -> None:
    engine = OpenAIVoice(at(server), {"es": "nova"})
    sounds = list(engine.speak("Hola.", "es"))
    assert {sound.rate for sound in sounds} == {24_000}
    assert sum(len(sound.samples) for sound in sounds) == 12_000
    assert json.loads(server.requests[0][2])["voice"] == "nova"
    server.behaviour = "garbage"
    with pytest.raises(EngineFailed, match="no WAV"):
        list(engine.speak("Hola.", "es"))


def test_a_server_that_clones_gets_the_sample_of_the_voice_and_others_do_not(server: FakeOpenAI) -> None:
    sample = wav(tone(0.5, 16_000), 16_000)
    reference = Reference(sample, 140.0, 14.0)
    for clones in (True, False):
        engine = OpenAIVoice(at(server), {}, clones=clones)
        assert engine.own == ("cloned" if clones else "none")
        assert sum(len(sound.samples) for sound in engine.speak("Hello.", "en", reference)) == 12_000
    assert sum(len(sound.samples) for sound in OpenAIVoice(at(server), {}, clones=True).speak("Hello.", "en")) == 12_000
    cloned, other, without = (json.loads(body) for _, _, body in server.requests)
    kind, _, content = cloned["ref_audio"].partition(",")
    assert (kind, base64.b64decode(content)) == ("data:audio/wav;base64", sample)
    assert "ref_audio" not in other
    assert "ref_audio" not in without


def test_a_server_that_is_away(server: FakeOpenAI) -> None:
    with pytest.raises(EngineMissing, match="SPEECH_API_URL"):
        OpenAITranslator(None).translate("x", "en", "es")
    with pytest.raises(EngineFailed, match="does not answer"):
        OpenAITranslator(Server("http://127.0.0.1:9/v1", None, "m")).translate("x", "en", "es")
