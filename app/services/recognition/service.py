"""ClipService: whole clips in, recognised signs out. Videos, images and landmarks share the rest of the path.

Nothing runs on the event loop: landmarks are found in a bounded pool of threads, the rest of the preparation and the
decoding have one thread of their own, and the network belongs to the ModelHost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import TypeVar

from loguru import logger

from app.core.errors import InvalidLandmarks, NotReady
from app.core.limits import ConcurrencyLimit
from app.core.settings import Settings
from app.core.tracing import span
from app.monitoring.metrics import Metrics
from app.pipeline.caption import Caption, CaptionWarning
from app.pipeline.clip_reading import ClipReading
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    LandmarkTrack,
)
from app.pipeline.module1_preprocessing.video import Frame, probe
from app.pipeline.module4_language import to_english
from app.pipeline.recogniser import Recogniser, Recognition
from app.services.recognition import clips
from app.services.recognition.device_faults import raising_device_errors
from app.services.recognition.errors import pipeline_errors_as_service_errors
from app.services.recognition.model_host import ModelHost
from app.services.recognition.rewriting import SentenceRewriter
from app.services.recognition.subtitles import runs
from app.services.recognition.vocabularies import Wanted, reading_with

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ClipResult:
    """The result for one clip."""

    recognition: Recognition
    warnings: list[CaptionWarning]
    processing_time_s: float
    """Seconds from the call to the answer, including waiting."""
    model: str
    """Id of the recogniser that answered; it may have been replaced since."""
    vocabulary: str
    """Name of the vocabulary it read with."""
    sign_language: str
    """ISO 639-3 code."""
    rewritten: str | None = None
    """The sentence made fluent by a chat model; None where the one of the rules stands."""
    spanish: Mapping[str, str] = field(default_factory=dict)
    """What was translated: English sentence -> Spanish."""

    @property
    def caption(self) -> Caption:
        """What every door renders."""
        caption = Caption.of_recognition(self.recognition, self.model, self.vocabulary, self.warnings)
        if self.rewritten is not None:
            caption = replace(caption, sentence=self.rewritten, by_rules=caption.sentence)
        return replace(caption, spanish=self.spanish.get(caption.sentence))


async def not_translated(text: str) -> str | None:
    return None


class ClipService:
    """One per process; use from one event loop. Call `warm_up` first and `close` at the end."""

    def __init__(
        self,
        settings: Settings,
        host: ModelHost,
        landmarks: LandmarkEngine,
        metrics: Metrics,
        spanish: Callable[[str], Awaitable[str | None]] = not_translated,
        rewriter: SentenceRewriter | None = None,
    ) -> None:
        """spanish: an English sentence in Spanish; None where that is not to be had. rewriter: makes sentences
        fluent."""
        self._spanish, self._rewriter = spanish, rewriter
        self._settings, self._host, self._landmarks, self._metrics = settings, host, landmarks, metrics
        self._on_stage = metrics.stages("clip")
        #: Clips that are waiting or being read.
        self.limit = ConcurrencyLimit(settings.max_concurrent_requests, "recognition requests")
        self._extract_threads = ThreadPoolExecutor(landmarks.size, thread_name_prefix="extract")
        self._clip_thread = ThreadPoolExecutor(1, thread_name_prefix="clip")
        self._running: set[Event] = set()
        self._closed = False
        metrics.before_reading(lambda: metrics.requests_inside.set(self.limit.in_use))

    async def close(self) -> None:
        """Cancel running clips, and return when all threads of the service have ended."""
        self._closed = True
        for cancel in list(self._running):
            cancel.set()
        for threads in (self._extract_threads, self._clip_thread):
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)

    def check_ready(self) -> None:
        """Raise NotReady, DeviceFault or Busy unless a clip can be read now."""
        if self._closed:
            raise NotReady
        self._host.check_ready()
        self.limit.check()

    async def check_vocabulary(self, vocabulary: Wanted) -> None:
        """Raise UnknownVocabulary if no clip can be read with this one now."""
        await reading_with(self._host.recogniser, vocabulary)

    async def video_seconds(self, path: Path) -> float | None:
        """The duration that a video file declares; None if it declares none. Raises what `process_video` raises for a
        file that is not a video."""
        limits = clips.video_limits(self._settings)
        return (await _in(self._clip_thread, lambda: probe(path, limits))).duration_s

    async def process_video(
        self, path: Path, vocabulary: Wanted = None, max_duration_s: float | None = None
    ) -> ClipResult:
        """A video file -> its recognition. max_duration_s: a limit below MAX_DURATION_S. Cancelling the call stops the
        decoder at its next frame. Raises InvalidVideo, LandmarksUnavailable and the documented errors of
        app.core.errors."""

        def extract(track: LandmarkTrack, options: clips.ClipOptions) -> Keypoints:
            return clips.keypoints_from_video(path, track, replace(options, max_duration_s=max_duration_s))

        return await self._process(extract, vocabulary)

    async def process_frames(self, frames: Iterable[Frame], vocabulary: Wanted = None) -> ClipResult:
        """Images with strictly increasing capture times -> their recognition. `frames` is read in a worker thread."""
        return await self._process(
            lambda track, options: clips.keypoints_from_frames(frames, track, options), vocabulary
        )

    async def process_landmarks(self, keypoints: Keypoints, vocabulary: Wanted = None) -> ClipResult:
        """Landmarks of one clip -> their recognition. Raises InvalidLandmarks, VideoTooLong, UnknownVocabulary."""
        began = time.perf_counter()
        self.check_ready()
        recogniser = await reading_with(self._host.recogniser, vocabulary)
        if len(keypoints) == 0:
            raise InvalidLandmarks("The landmarks contain no frame. Send at least one.")
        clips.check_duration(keypoints.duration_s, self._settings.max_duration_s)
        with self.limit.enter():
            return await self._recognise(keypoints, recogniser, began)

    async def landmarks_of_video(self, path: Path, max_duration_s: float) -> Keypoints:
        """The landmarks in a video file, without their recognition. Raises what `process_video` raises."""

        def extract(track: LandmarkTrack, options: clips.ClipOptions) -> Keypoints:
            return clips.keypoints_from_video(path, track, replace(options, max_duration_s=max_duration_s))

        self.check_ready()
        with self.limit.enter():
            return await self._extracted(extract, self._host.recogniser)

    async def _process(
        self, extract: Callable[[LandmarkTrack, clips.ClipOptions], Keypoints], vocabulary: Wanted
    ) -> ClipResult:
        began = time.perf_counter()
        self.check_ready()
        recogniser = await reading_with(self._host.recogniser, vocabulary)
        with self.limit.enter():
            return await self._recognise(await self._extracted(extract, recogniser), recogniser, began)

    async def _extracted(
        self, extract: Callable[[LandmarkTrack, clips.ClipOptions], Keypoints], recogniser: Recogniser
    ) -> Keypoints:
        cancel = Event()
        options = clips.ClipOptions(self._settings, recogniser, cancel, on_stage=self._on_stage)

        def in_thread() -> Keypoints:
            with closing(self._landmarks.open()) as track, raising_device_errors(self._host.device):
                return extract(track, options)

        self._running.add(cancel)
        try:
            with span("extraction"):
                return await _in(self._extract_threads, in_thread)
        finally:
            cancel.set()
            self._running.discard(cancel)

    async def _recognise(self, keypoints: Keypoints, recogniser: Recogniser, began: float) -> ClipResult:
        warnings = clips.warnings_about(keypoints)
        if any(warning.code == "no_person" for warning in warnings):
            recognition = clips.nothing_seen(keypoints, recogniser.fps)
        else:
            with span("model", frames=len(keypoints)):
                reading = await _in(self._clip_thread, lambda: ClipReading(recogniser, keypoints))
                await self._host.read(reading)
            with span("decoding"):
                recognition = await _in(self._clip_thread, reading.recognition)
            for stage, seconds in recognition.stage_s.items():
                self._on_stage(stage, seconds)
            self._metrics.clips_read.inc()
            self._metrics.count_signs("clip", ((s.confidence, s.unsure) for s in recognition.segments))
        glosses, fluent = [sign.gloss for sign in recognition.segments], None
        if self._rewriter is not None:
            fluent = await self._rewriter.rewritten(glosses, recognition.sentence)
        translated = await self._in_spanish(recognition, fluent, recogniser.sign_language)
        seconds = time.perf_counter() - began
        read_by = recogniser.model_id, recogniser.reads, recogniser.sign_language
        return ClipResult(recognition, warnings, seconds, *read_by, fluent, translated)

    async def _in_spanish(self, found: Recognition, fluent: str | None, sign_language: str) -> dict[str, str]:
        """The whole sentence, and of a clip with pauses what is signed between them, by their English."""
        parts = runs(found.segments)
        english = [fluent or found.sentence]
        if len(parts) > 1:
            english += [to_english([sign.gloss for sign in part], sign_language) for part in parts]
        translated: dict[str, str] = {}
        for sentence in dict.fromkeys(english):
            spanish = await self._spanish(sentence) if sentence else None
            if spanish is None:
                break
            translated[sentence] = spanish
        return translated


async def _in(executor: Executor, work: Callable[[], R]) -> R:
    with pipeline_errors_as_service_errors():
        return await asyncio.get_running_loop().run_in_executor(executor, work)


def warm_up(landmarks: LandmarkEngine) -> None:
    """Find landmarks once, so that the first clip does not wait for the models to load. Blocks for about a second.

    If MediaPipe does not work on this machine, the service still starts: it accepts landmarks and answers videos with
    503 `landmarks_unavailable`.
    """
    try:
        landmarks.warm_up()
    except (LandmarksUnavailable, ExtractionFailed) as problem:
        logger.warning("videos cannot be read on this machine, only landmarks: {}", problem)
