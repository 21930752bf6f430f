"""Requests and answers about speech: transcripts, translations, text to read aloud."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.services.speech.engines import Listed
from app.speech.engines import OwnUse, Transcript

Language = Literal["en", "es"]


class SpokenWord(BaseModel):
    """One word."""

    text: str
    start_s: float = Field(ge=0, description="Start, in seconds from the start of the audio.")
    end_s: float = Field(ge=0, description="End, in seconds.")
    probability: float | None = Field(None, ge=0, le=1, description="How sure the engine is, where it says so.")


class SpokenSegment(BaseModel):
    """About a sentence."""

    text: str
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    words: list[SpokenWord] = Field(description="Empty where the engine has no times of words.")


class Transcription(BaseModel):
    """What was said."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "Where is the train station?",
                    "language": "en",
                    "language_probability": 0.98,
                    "duration_s": 1.9,
                    "segments": [
                        {
                            "text": "Where is the train station?",
                            "start_s": 0.0,
                            "end_s": 1.6,
                            "words": [{"text": "Where", "start_s": 0.0, "end_s": 0.2, "probability": 0.99}],
                        }
                    ],
                    "engine": "whisper",
                    "processing_time_s": 0.8,
                }
            ]
        }
    )

    text: str = Field(description="Everything that was said; empty for silence.")
    language: str = Field(description="ISO 639-1.")
    language_probability: float | None = Field(
        None, ge=0, le=1, description="How sure the engine is of the language; null where it was stated."
    )
    duration_s: float = Field(ge=0, description="Length of the audio in seconds.")
    segments: list[SpokenSegment]
    engine: str = Field(description="Name of the engine that answered.")
    processing_time_s: float = Field(ge=0)

    @classmethod
    def of(cls, found: Transcript, engine: str, seconds: float) -> Transcription:
        segments = [
            SpokenSegment(
                text=passage.text,
                start_s=passage.start_s,
                end_s=passage.end_s,
                words=[
                    SpokenWord(text=w.text, start_s=w.start_s, end_s=w.end_s, probability=w.probability)
                    for w in passage.words
                ],
            )
            for passage in found.passages
        ]
        return cls(
            text=found.text,
            language=found.language,
            language_probability=found.language_probability,
            duration_s=round(found.duration_s, 3),
            segments=segments,
            engine=engine,
            processing_time_s=round(seconds, 4),
        )


class TranslateRequest(BaseModel):
    """Text to translate."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "Where is the bathroom?", "target": "es"}]}
    )

    text: str = Field(description="At most 5,000 characters.")
    target: Language
    source: Language | None = Field(None, description="Without it, the language is guessed from the text.")


class Translation(BaseModel):
    """The text in the other language."""

    text: str
    source: str = Field(description="ISO 639-1; guessed where it was not stated.")
    target: str
    engine: str
    processing_time_s: float = Field(ge=0)


class SynthesiseRequest(BaseModel):
    """Text to read aloud."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "¿Dónde está el baño?", "language": "es"}]}
    )

    text: str = Field(description="At most 5,000 characters.")
    language: Language | None = Field(None, description="Without it, the language is guessed from the text.")
    format: Literal["wav", "ogg"] = Field("wav", description="16-bit WAV, or Ogg with Opus.")
    own_voice: bool = Field(
        False, description="In one's own voice (PUT /api/speech/voice); the header Own-Voice says what became of it."
    )


class OwnVoiceInfo(BaseModel):
    """A sample of one's own voice."""

    consent: str = Field(description="What was agreed to.")
    consented_at: datetime
    duration_s: float = Field(ge=0)
    pitch_hz: float = Field(description="How high the voice is.")
    characters_a_s: float | None = Field(description="How fast it speaks; null where nothing could write it down.")
    used_as: OwnUse = Field(
        description="What this service makes of it: the same voice, its own with pitch and pace fitted, or nothing."
    )


class EngineEntry(BaseModel):
    """One engine."""

    job: Literal["transcription", "translation", "voice"]
    name: str
    chosen: bool = Field(description="Whether the settings choose it.")
    available: bool
    detail: str = Field(description="What was found, or what is missing.")
    remedy: str = Field(description="A command or setting that brings what is missing; empty if nothing is.")

    @classmethod
    def of(cls, listed: Listed) -> EngineEntry:
        found = listed.found
        return cls(
            job=listed.job,
            name=listed.name,
            chosen=listed.chosen,
            available=found.available,
            detail=found.detail,
            remedy=found.remedy,
        )


class EngineList(BaseModel):
    """All engines there are."""

    engines: list[EngineEntry]


class OpenAISpeechRequest(BaseModel):
    """Text to read aloud, as OpenAI's API has it."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"model": "tts-1", "voice": "alloy", "input": "Hello, you."}]}
    )

    input: str = Field(description="At most 5,000 characters.")
    model: str = Field("", max_length=200, description="Any; the engine of this service speaks.")
    voice: str | dict[str, str] = Field("", description="`own`: one's own; of any other, the one of the language.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    language: Language | None = Field(None, description="Not in OpenAI's API; without it, it is guessed from the text.")
