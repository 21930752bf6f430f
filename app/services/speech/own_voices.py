"""Voices of one's own: a sample with its owner's consent, what is measured on it, and its end when they revoke it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal
from app.db.database import Database
from app.db.models.voices import OwnVoice
from app.services.conversation.spoken import Speaker
from app.services.speech.service import SpeechService, speech_errors_as_service_errors
from app.speech import audio, likeness
from app.speech.engines import SAMPLE_RATE, Reference, Samples, Sound, Transcript

#: What a person agrees to with their sample.
CONSENT = (
    "This is my own voice. I agree that this sample is stored, and used to read text aloud in a voice like mine, until "
    "I revoke it."
)
NO_DATABASE = "This service keeps no voices, because it has no database. Set DATABASE_URL."
#: Seconds that a sample may last.
SHORTEST_S, LONGEST_S = 3.0, 30.0


class OwnVoices:
    """One per application. Methods raise DatabaseUnavailable beside what they name."""

    def __init__(self, database: Database, speech: SpeechService) -> None:
        self._database, self._speech = database, speech

    async def get(self, principal: Principal) -> OwnVoice:
        """Raises NoOwnVoice."""
        async with self._database.session() as session:
            row = await session.scalar(select(OwnVoice).where(_of(principal)))
        if row is None:
            raise errors.NoOwnVoice
        return row

    async def reference(self, principal: Principal) -> Reference:
        """For a Voice. Raises NoOwnVoice."""
        row = await self.get(principal)
        wav = await asyncio.to_thread(_wav, row.sample)
        return Reference(wav, row.pitch_hz, row.characters_a_s)

    async def put(self, principal: Principal, file: Path) -> OwnVoice:
        """With the owner's consent, in place of the one before. Raises NotAudio, UndecodableAudio, AudioTooLong,
        InvalidRequest where there is too little voice in it."""
        with speech_errors_as_service_errors():
            samples = await asyncio.to_thread(audio.decode, file, audio.Limits(LONGEST_S))
        duration_s = len(samples) / SAMPLE_RATE
        if duration_s < SHORTEST_S:
            raise errors.InvalidRequest(
                f"file: the sample lasts {duration_s:.1f} s; speak for {SHORTEST_S:g} to {LONGEST_S:g} s."
            )
        try:
            found = await asyncio.to_thread(likeness.measured, samples, await self._said(file))
        except likeness.NoVoice as problem:
            raise errors.InvalidRequest(f"file: {problem} Speak near the microphone, in a quiet room.") from problem
        values = {
            "consent": CONSENT,
            "consented_at": func.now(),
            "sample": await asyncio.to_thread(_flac, samples),
            "duration_s": round(duration_s, 2),
            "pitch_hz": found.pitch_hz,
            "characters_a_s": found.characters_a_s,
        }
        adding = insert(OwnVoice).values(id=uuid4(), user_id=principal.user_id, **values)
        async with self._database.session() as session:
            if principal.user_id is None:  # NULLs do not conflict
                await _remove(session, principal)
            storing = adding.on_conflict_do_update(index_elements=["user_id"], set_=values).returning(OwnVoice)
            return (await session.scalars(storing)).one()

    async def _said(self, file: Path) -> Transcript | None:
        """For the pace; None where nothing here transcribes."""
        try:
            return await self._speech.transcribe(file)
        except (errors.SpeechUnavailable, errors.SpeechFailed, errors.Busy):
            return None

    async def revoke(self, principal: Principal) -> None:
        """The sample is deleted. Raises NoOwnVoice."""
        async with self._database.session() as session:
            if not await _remove(session, principal):
                raise errors.NoOwnVoice


def _of(principal: Principal) -> ColumnElement[bool]:
    return OwnVoice.user_id.is_(None) if principal.user_id is None else OwnVoice.user_id == principal.user_id


async def _remove(session: AsyncSession, principal: Principal) -> bool:
    return await session.scalar(delete(OwnVoice).where(_of(principal)).returning(OwnVoice.id)) is not None


def _flac(samples: Samples) -> bytes:
    return b"".join(audio.encoded([Sound(audio.to_int16(samples), SAMPLE_RATE)], "flac"))


def _wav(sample: bytes) -> bytes:
    return audio.whole_wav([Sound(audio.to_int16(audio.decode(sample, audio.Limits(LONGEST_S + 1))), SAMPLE_RATE)])


class Speakers:
    """Who reads aloud in live sessions."""

    def __init__(self, speech: SpeechService, own: OwnVoices | None) -> None:
        """own: None without a database."""
        self._speech, self._own = speech, own

    async def speaker(self, principal: Principal, own: bool) -> Speaker:
        """own: in the person's own voice. Raises SpeechUnavailable, NoOwnVoice, DatabaseUnavailable."""
        engine = await asyncio.to_thread(self._speech.voice)
        reference = None
        if own:
            if self._own is None:
                raise errors.DatabaseUnavailable(NO_DATABASE)
            reference = await self._own.reference(principal)
        speak = partial(self._speech.synthesise, form="pcm", reference=reference)
        return Speaker(speak, engine.own if own else None)
