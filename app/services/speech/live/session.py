"""One client's live speech: sound in, events out through the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from app.core.errors import InvalidMessage, ServiceError
from app.core.principal import ANONYMOUS, Principal
from app.services.billing.live_charge import LiveCharge
from app.services.conversation.base_session import BaseSession
from app.services.conversation.completion import CompletedEvents
from app.services.conversation.spoken import Speaker, SpokenSentences
from app.services.conversation.translation import PatientTranslator, TranslationWatch
from app.services.speech.live.commands import Sound, SpeechFlush, SpeechStart
from app.services.speech.live.events import (
    Heard,
    Signed,
    SpeechDone,
    SpeechFinal,
    SpeechPartial,
    SpeechStats,
    SpeechUsage,
    Translations,
)
from app.services.speech.live.reader import Reading, SpeechReader
from app.services.speech.service import SpeechService, unavailable
from app.speech.endpoint import Endpointer
from app.speech.engines import SAMPLE_RATE, EngineMissing, Passage, Samples, Transcript, Word
from app.speech.streams import ContainerStream, PcmStream
from app.speech.text import sentences

#: Seconds kept from before speech was heard.
BEFORE_S = 0.4
#: Seconds of new speech that make another reading worth it; of silence after which a sentence may be over.
LOOK_S, MAYBE_OVER_S = 0.5, 0.2
#: A reading up to this many seconds after speech was last heard has all of it.
COVERS_S = 0.1
#: A sentence is cut after this many seconds; this much sound may wait at most.
LONGEST_S, MAX_WAITING_S = 20.0, 25.0
#: A client that stops sending has ended its sentence after the pause, and this many seconds.
QUIET_S = 0.7
#: Seconds to process what was received before a session ends: from the service's side, from the client's.
FINISH_S, STOP_S = 10.0, 30.0
#: Words after a sentence that two readings agree on too before it is final while somebody speaks on.
SURE_WORDS = 2
#: English text -> its glosses, and the words that have no sign. Raises ServiceError.
SignsOf = Callable[[str], Awaitable[tuple[tuple[str, ...], tuple[str, ...]]]]


class SpeechSession(BaseSession):
    """Not thread-safe; use from one event loop."""

    def __init__(
        self,
        start: SpeechStart,
        reader: SpeechReader,
        service: SpeechService,
        translator: PatientTranslator | None,
        principal: Principal = ANONYMOUS,
        now: Callable[[], float] = time.monotonic,
        speaker: Speaker | None = None,
        sign: SignsOf | None = None,
    ) -> None:
        """translator: None if captions are not translated. speaker: None: the service's voice. sign: glosses of finals,
        where `start` asks for them."""
        super().__init__(principal, now)
        self._at_rest.set()
        self.start = start
        self.charge: LiveCharge | None = None
        self._reader, self._service, self._translator = reader, service, translator
        self._sign = sign if start.signs else None
        self._last_sound_at = self.began
        self._loop = asyncio.get_running_loop()
        self._pcm = PcmStream(start.rate) if start.encoding == "pcm16" else None
        self._container: ContainerStream | None = None
        self._endpointer = Endpointer()
        self._buffer: deque[Samples] = deque()
        self._buffered = 0  # samples
        self._speaking = False
        self._looked = 0  # position up to which a reading has been asked for
        self._flush_at: int | None = None
        self._covered: tuple[Reading, Transcript] | None = None  # the latest reading of the running sentence
        self._hypothesis: tuple[str, ...] = ()  # words of the latest reading,
        self._marks = ""  # and the last character of each
        self._agreed = 0
        self._language: str | None = start.language
        self._segment = self._revision = 0
        self._received = self._dropped = 0
        self._lag_ms = 0.0
        self._watch = TranslationWatch(self.warn)
        self._outgoing = CompletedEvents(self._translated, self._send_caption, "speech-captions")
        speaker = speaker or Speaker(partial(service.synthesise, form="pcm"), None)
        self.own_voice = speaker.own
        """What the voice makes of the person's own; None: not asked for."""
        self._spoken = SpokenSentences(speaker.speak, self.outbox, self.send_event, self.warn)

    # -- for the conversation and the hub ------------------------------------------------------------------------------

    @property
    def has_input(self) -> bool:
        return self._received > 0

    @property
    def used_s(self) -> float:
        """Seconds of sound so far, as they are charged."""
        return self._received / SAMPLE_RATE

    async def handle(self, command: Sound | SpeechFlush) -> None:
        """Raises ServiceError; the session continues."""
        match command:
            case Sound():
                self.take(command.data)
            case SpeechFlush():
                self.flush()

    async def finish(self) -> None:
        await self.flushed(STOP_S)
        self.finished = True
        self.send_event(SpeechDone(usage=self.usage()), last=True)

    async def flushed(self, timeout_s: float) -> None:
        """Accept no more sound; return when what was received has been read, sent and spoken."""
        self._taking = False
        if self._container is not None:
            self._container.close()
            await asyncio.sleep(0.2)
        self.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._at_rest.wait()
                await self._outgoing.sent()
                await self._spoken.spoken()

    async def close(self) -> None:
        self._taking, self.finished = False, True
        self._reader.forget(self)
        if self._container is not None:
            self._container.close()
        await self._spoken.close()
        await self._outgoing.close()

    # -- in ------------------------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """A piece of sound. Raises InvalidMessage for one that cannot be used."""
        self._last_sound_at = self._now()
        if not self._taking:
            return
        if self._pcm is not None:
            self._add(self._pcm.add(data))
            return
        if self._container is None:
            loop = self._loop

            def on_samples(samples: Samples) -> None:
                loop.call_soon_threadsafe(self._add, samples)

            def on_end(well: bool) -> None:
                loop.call_soon_threadsafe(self._on_end, well)

            self._container = ContainerStream(on_samples, on_end)
        if not self._container.put(data):
            raise InvalidMessage("More sound came than can be decoded; a piece was dropped.")

    def _on_end(self, well: bool) -> None:
        if not well and not self.finished:
            self.fail(InvalidMessage("The sound is no WebM or Ogg with Opus. Send encoding 'pcm16', or such a file."))

    def _add(self, samples: Samples) -> None:
        self._received += len(samples)
        if self.charge is not None and self.used_s > self.charge.payable_s:
            self._dropped += len(samples)
            return
        heard = self._endpointer.add(samples)
        self._buffer.append(samples)
        self._buffered += len(samples)
        if not self._speaking:
            if not heard:
                self._trim(BEFORE_S)
                return
            self._speaking = True
            self._at_rest.clear()
            self._looked = self._endpointer.position
        while self._buffered > MAX_WAITING_S * SAMPLE_RATE:
            lost = self._buffer.popleft()
            self._buffered -= len(lost)
            self._dropped += len(lost)
        self._look()

    def _trim(self, seconds: float) -> None:
        keep = int(seconds * SAMPLE_RATE)
        while self._buffer and self._buffered - len(self._buffer[0]) >= keep:
            self._buffered -= len(self._buffer.popleft())

    def _look(self) -> None:
        """Ask for a reading, or end the sentence, as the sound so far wants it."""
        here, covered = self._endpointer, self._covered
        silent_s = here.silence_s
        if covered is not None and covered[0].until >= here.last_loud and silent_s * 1000 >= self.start.endpoint_ms:
            self._end(*covered, "endpoint")
            return
        new_s = (here.position - self._looked) / SAMPLE_RATE
        maybe_over = silent_s >= MAYBE_OVER_S and self._looked < here.last_loud + COVERS_S * SAMPLE_RATE
        if maybe_over or (new_s >= LOOK_S and silent_s < MAYBE_OVER_S):
            self._reader.wants_turn(self)

    def flush(self) -> None:
        """End the sentence after what was received so far."""
        if self._speaking:
            self._flush_at = self._endpointer.position
            self._reader.wants_turn(self)

    def flush_if_quiet(self) -> None:
        quiet_s = self._now() - self._last_sound_at
        if self._speaking and self._flush_at is None and quiet_s > self.start.endpoint_ms / 1000 + QUIET_S:
            self.flush()

    # -- the reader's side ---------------------------------------------------------------------------------------------

    @property
    def urgent(self) -> bool:
        return self._flush_at is not None or self._endpointer.silence_s >= MAYBE_OVER_S

    def take_work(self) -> Reading | None:
        if not self._speaking or not self._buffered:
            return None
        self._looked = self._endpointer.position
        return Reading(np.concatenate(list(self._buffer)), self._language, self._looked)

    def on_result(self, reading: Reading, outcome: Transcript | Exception) -> None:
        if isinstance(outcome, EngineMissing):
            self.fail(unavailable(outcome))
            return
        if isinstance(outcome, Exception):
            self.warn("speech_failed", "A piece of speech could not be read; the session goes on.")
            outcome = Transcript(self._language or "en", None, (), 0.0)
        if not self._speaking:
            return
        if self._language is None and outcome.text and len(reading.samples) > 1.5 * SAMPLE_RATE:
            self._language = outcome.language
        here = self._endpointer
        self._lag_ms = (here.position - reading.until) / SAMPLE_RATE * 1000
        over = reading.until >= here.last_loud
        if self._flush_at is not None and reading.until >= self._flush_at:
            self._end(reading, outcome, "flush")
        elif over and here.silence_s * 1000 >= self.start.endpoint_ms:
            self._end(reading, outcome, "endpoint")
        elif len(reading.samples) >= LONGEST_S * SAMPLE_RATE:
            self._end(reading, outcome, "too_long")
        else:
            self._agree(outcome)
            outcome, reading = self._sentences_agreed(reading, outcome)
            self._covered = reading, outcome
            if self.start.interim and outcome.text:
                self._revision += 1
                self._outgoing.put(SpeechPartial(**self._content(reading, outcome, self._agreed)))
            if self._flush_at is not None:
                self._reader.wants_turn(self)
            else:
                self._look()

    def _agree(self, outcome: Transcript) -> None:
        """Words are final when two readings in a row have them."""
        words = tuple(word.text.lower().strip(".,;:!?¿¡") for word in outcome.words)
        same = 0
        for one, other in zip(words, self._hypothesis, strict=False):
            if one != other:
                break
            same += 1
        self._agreed = same
        self._hypothesis = words

    def _sentences_agreed(self, reading: Reading, outcome: Transcript) -> tuple[Transcript, Reading]:
        """While somebody speaks on, sentences that two readings agree on become final, and their sound need not be
        read again. What is left of the reading."""
        words = outcome.words
        ends = [
            n + 1
            for n in range(self._agreed - SURE_WORDS)
            if words[n].text[-1] in ".!?" and self._marks[n] in ".!?" and not words[n + 1].text[0].islower()
        ]
        self._marks = "".join(word.text[-1] for word in words)
        if not ends:
            return outcome, reading
        cut, at_s = ends[-1], words[ends[-1]].start_s
        offset = round(at_s * SAMPLE_RATE)
        if not 0 < offset < len(reading.samples):
            return outcome, reading
        self._send_final(reading, _of_words(outcome, words[:cut], 0.0), "sentence")
        rest = Reading(reading.samples[offset:], reading.language, reading.until)
        self._drop_before(reading.until - len(rest.samples))
        self._hypothesis, self._agreed, self._marks = self._hypothesis[cut:], self._agreed - cut, self._marks[cut:]
        return _of_words(outcome, words[cut:], at_s), rest

    def _drop_before(self, position: int) -> None:
        """Drop the sound before this position of the stream."""
        end = self._endpointer.position + self._endpointer.waiting
        while self._buffer and self._buffered > end - position:
            first, surplus = self._buffer.popleft(), self._buffered - (end - position)
            if surplus < len(first):
                self._buffer.appendleft(first[surplus:])
            self._buffered -= min(surplus, len(first))

    def _send_final(
        self, reading: Reading, outcome: Transcript, reason: Literal["endpoint", "flush", "too_long", "sentence"]
    ) -> None:
        self._revision += 1
        content = self._content(reading, outcome, len(outcome.words))
        self._outgoing.put(SpeechFinal(**content, reason=reason))
        self._segment += 1
        self._revision = 0

    def _end(self, reading: Reading, outcome: Transcript, reason: Literal["endpoint", "flush", "too_long"]) -> None:
        if outcome.text:
            self._send_final(reading, outcome, reason)
        newer = self._endpointer.position - reading.until
        if newer > 0 and self._endpointer.last_loud > reading.until:  # the next sentence has begun
            self._trim(newer / SAMPLE_RATE + 0.05)
        else:
            self._trim(BEFORE_S)
            self._speaking = False
            self._at_rest.set()
        self._covered, self._flush_at = None, None
        self._hypothesis, self._agreed, self._revision, self._marks = (), 0, 0, ""
        self._language = self.start.language

    def _content(self, reading: Reading, outcome: Transcript, settled: int) -> dict[str, Any]:
        offset_s = (reading.until - len(reading.samples)) / SAMPLE_RATE
        words = outcome.words or tuple(Word(p.text, p.start_s, p.end_s) for p in outcome.passages)
        heard = [
            Heard(
                text=word.text,
                start_ms=max(0, round((word.start_s + offset_s) * 1000)),
                end_ms=max(0, round((word.end_s + offset_s) * 1000)),
                final=place < settled,
            )
            for place, word in enumerate(words)
        ]
        return {
            "segment": self._segment,
            "revision": self._revision,
            "start_ms": heard[0].start_ms,
            "end_ms": heard[-1].end_ms,
            "language": outcome.language,
            "words": tuple(heard),
            "sentence": outcome.text,
            "text": Translations(**{outcome.language: outcome.text}),
            "lag_ms": round(self._lag_ms, 1),
        }

    # -- out -----------------------------------------------------------------------------------------------------------

    async def _translated(self, event: SpeechPartial | SpeechFinal) -> SpeechPartial | SpeechFinal:
        """Sentence by sentence: only those that have changed are translated again."""
        began, text = time.monotonic(), {event.language: event.sentence}
        english = {"en"} if self._sign is not None and isinstance(event, SpeechFinal) else set[str]()
        voice = {self.start.voice} if self.start.voice else set[str]()
        for target in {*self.start.targets, *voice, *english} - {event.language}:
            if self._translator is None:
                continue
            parts = [
                await self._translator.translate(sentence, event.language, target)
                for sentence in sentences(event.sentence)
            ]
            known = [part for part in parts if part is not None]
            missing = len(known) < len(parts)
            self._watch.saw(missing)
            if not missing:
                text[target] = " ".join(known)
        late_ms = (time.monotonic() - began) * 1000
        update = {"text": Translations(**text), "lag_ms": round(event.lag_ms + late_ms, 1)}
        if english and text.get("en") and self._sign is not None:
            update["signs"] = await self._signed(text["en"])
        return event.model_copy(update=update)

    async def _signed(self, english: str) -> Signed | None:
        """Captions go on without it."""
        assert self._sign is not None
        try:
            glosses, without_sign = await self._sign(english)
        except ServiceError:
            return None
        return Signed(glosses=glosses, without_sign=without_sign)

    def _send_caption(self, event: SpeechPartial | SpeechFinal) -> None:
        self.send_event(event)
        if isinstance(event, SpeechFinal) and self.start.voice not in (None, event.language):
            content = getattr(event.text, str(self.start.voice))
            if content is not None:
                self._spoken.put(event.segment, content, str(self.start.voice))

    # -- numbers -------------------------------------------------------------------------------------------------------

    def stats(self) -> SpeechStats:
        credits = self.charge.credits_remaining if self.charge is not None else None
        dropped_s = round(self._dropped / SAMPLE_RATE, 2)
        return SpeechStats(
            seconds=round(self.used_s, 2), dropped_s=dropped_s, lag_ms=round(self._lag_ms, 1), credits_remaining=credits
        )

    def usage(self) -> SpeechUsage:
        dropped_s = round(self._dropped / SAMPLE_RATE, 2)
        return SpeechUsage(seconds=round(self.used_s, 2), dropped_s=dropped_s, segments=self._segment)


def _of_words(outcome: Transcript, words: tuple[Word, ...], from_s: float) -> Transcript:
    """A part of a reading, with times that count from from_s."""
    moved = tuple(replace(word, start_s=word.start_s - from_s, end_s=word.end_s - from_s) for word in words)
    text = " ".join(word.text for word in moved)
    passages = (Passage(text, moved[0].start_s, moved[-1].end_s, moved),) if moved else ()
    return Transcript(outcome.language, outcome.language_probability, passages, outcome.duration_s - from_s)
