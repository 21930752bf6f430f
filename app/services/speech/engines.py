"""Which engines the settings ask for, and what each of those there are says about itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from app.core.settings import Settings
from app.speech.engines import Availability, Engine, Job, LiveTranscriber, Translator, Voice
from app.speech.openai_server import OpenAIRewriter, OpenAITranscriber, OpenAITranslator, OpenAIVoice, Server
from app.speech.transcription.whisper import Whisper
from app.speech.translation.apertium import Apertium
from app.speech.translation.everyday import Everyday
from app.speech.voice.espeak import Espeak
from app.speech.voice.piper import Piper

E = TypeVar("E", bound=Engine)


@dataclass(frozen=True, slots=True)
class Listed:
    """One engine, for the list of them."""

    job: Job
    name: str
    chosen: bool
    """Whether the settings choose it."""
    found: Availability


@dataclass(frozen=True, slots=True)
class Engines:
    """All engines there are; the chosen one of each kind, None where it is off."""

    transcriber: LiveTranscriber | None
    translator: Translator | None
    voice: Voice | None
    transcribers: tuple[LiveTranscriber, ...]
    translators: tuple[Translator, ...]
    voices: tuple[Voice, ...]
    rewriter: OpenAIRewriter

    @classmethod
    def of(cls, settings: Settings, device: str) -> Engines:
        """device: cpu, cuda or cuda:N."""
        key = settings.speech_api_key.get_secret_value() if settings.speech_api_key is not None else None

        def server(model: str) -> Server | None:
            return None if settings.speech_api_url is None else Server(settings.speech_api_url, key, model)

        transcribers: tuple[LiveTranscriber, ...] = (
            Whisper(
                settings.whisper_model,
                device,
                settings.data_dir / "speech",
                settings.whisper_threads or max(1, (os.cpu_count() or 2) // 2),
            ),
            OpenAITranscriber(server(settings.speech_api_transcription_model)),
        )
        translators: tuple[Translator, ...] = (
            Everyday(Apertium()),
            OpenAITranslator(server(settings.speech_api_translation_model)),
        )
        voices: tuple[Voice, ...] = (
            Espeak(),
            Piper(settings.piper_voices),
            OpenAIVoice(
                server(settings.speech_api_voice_model), settings.speech_api_voices, clones=settings.speech_api_clones
            ),
        )
        by_server = "openai" if settings.speech_api_url is not None else None
        local_voice = "piper" if settings.piper_voices else "espeak-ng"
        return cls(
            transcriber=_chosen(transcribers, settings.speech_transcriber, by_server or "whisper"),
            translator=_chosen(translators, settings.speech_translator, by_server or "apertium"),
            voice=_chosen(voices, settings.speech_voice, by_server or local_voice),
            transcribers=transcribers,
            translators=translators,
            voices=voices,
            rewriter=OpenAIRewriter(server(settings.speech_api_rewriting_model), 2 * settings.rewriting_wait_s + 1),
        )

    def listed(self) -> list[Listed]:
        """Looks for files and programs: not for the event loop."""
        rows: tuple[tuple[Job, Engine | None, tuple[Engine, ...]], ...] = (
            ("transcription", self.transcriber, self.transcribers),
            ("translation", self.translator, self.translators),
            ("voice", self.voice, self.voices),
        )
        return [Listed(job, e.name, e is chosen, e.availability()) for job, chosen, all_ in rows for e in all_]

    def close(self) -> None:
        for engine in (*self.transcribers, *self.translators, *self.voices, self.rewriter):
            engine.close()


def _chosen(engines: Iterable[E], asked: str, automatic: str) -> E | None:
    name = automatic if asked == "auto" else asked
    return next((engine for engine in engines if engine.name == name), None)
