"""From a video, pictures or a landmark file to keypoints, with the service's limits and a way to stop in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import cast

from app.core.errors import VideoTooLong
from app.core.settings import Settings
from app.pipeline.caption import CaptionWarning
from app.pipeline.image_reader import ImageReader
from app.pipeline.keypoints import Keypoints, hand_present, person_present
from app.pipeline.module1_preprocessing.landmarks.mediapipe import PoseExtractor
from app.pipeline.module1_preprocessing.motion import ThriftyExtractor
from app.pipeline.module1_preprocessing.video import Frame, VideoLimits, read_frames
from app.pipeline.recogniser import Recogniser, Recognition
from app.pipeline.stages import DECODE, IMAGES, LANDMARKS, OnStage, no_op_observer

LANDMARK_SUFFIXES = frozenset({".npz", ".pose", ".json"})


class Cancelled(Exception):
    """Nobody waits for this clip any more."""


def limits_from(settings: Settings) -> VideoLimits:
    return VideoLimits(max_bytes=settings.max_upload_bytes, max_duration_s=settings.max_duration_s)


class _Decoding:
    """The same frames; raises Cancelled before the next one once `cancel` is set. Adds up what getting them took."""

    def __init__(
        self, frames: Iterable[Frame], cancel: Event | None, on_frame: Callable[[], object] | None = None
    ) -> None:
        self._frames, self._cancel, self._on_frame = iter(frames), cancel, on_frame
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled
        began = time.perf_counter()
        try:
            frame = next(self._frames)
        finally:
            self.seconds += time.perf_counter() - began
        if self._on_frame is not None:
            self._on_frame()
        return frame


def keypoints_from_frames(
    frames: Iterable[Frame],
    extractor: PoseExtractor,
    settings: Settings,
    cancel: Event | None = None,
    on_frame: Callable[[], object] | None = None,
    on_stage: OnStage = no_op_observer,
    recogniser: Recogniser | None = None,
) -> Keypoints:
    """Find the landmarks in pictures that are decoded as they are asked for; `on_frame` is called for each.

    recogniser: who will read them; its RGB encoder, if it has one, sees the pictures. Raises LandmarksUnavailable,
    Cancelled, and whatever the decoder raises.
    """
    decoding = _Decoding(frames, cancel, on_frame)
    looked = 0.0

    def on_picture(stage: str, seconds: float) -> None:
        nonlocal looked
        looked += seconds

    reader = ImageReader.of(recogniser, on_picture) if recogniser is not None else None
    began = time.perf_counter()
    keypoints = thrifty(extractor, settings).extract(decoding, reader.push if reader is not None else None)
    on_stage(DECODE, decoding.seconds)
    if reader is not None:
        on_stage(IMAGES, looked)
    on_stage(LANDMARKS, time.perf_counter() - began - decoding.seconds - looked)
    return keypoints


def keypoints_from_video(
    path: Path,
    extractor: PoseExtractor,
    settings: Settings,
    cancel: Event | None = None,
    on_frame: Callable[[], object] | None = None,
    on_stage: OnStage = no_op_observer,
    recogniser: Recogniser | None = None,
) -> Keypoints:
    """Decode a video and find the landmarks in it, as `keypoints_from_frames` does.

    Raises InvalidVideo, LandmarksUnavailable, Cancelled.
    """
    frames = read_frames(path, limits_from(settings))
    with closing(cast(Generator[Frame, None, None], frames)):
        return keypoints_from_frames(frames, extractor, settings, cancel, on_frame, on_stage, recogniser)


def thrifty(extractor: PoseExtractor, settings: Settings) -> PoseExtractor:
    """The same extractor, or one that spares it work where FRAME_SKIP or MOTION_THRESHOLD ask for that."""
    if settings.frame_skip == 0 and settings.motion_threshold == 0:
        return extractor
    return ThriftyExtractor(extractor, settings.frame_skip, settings.motion_threshold)


def check_duration(duration_s: float, settings: Settings) -> None:
    """Raise VideoTooLong for a clip that lasts longer than MAX_DURATION_S."""
    if duration_s > settings.max_duration_s:
        raise VideoTooLong(
            f"The clip lasts {duration_s:.1f} s; at most {settings.max_duration_s:g} s are read. Cut it into parts."
        )


def warnings_about(clip: Keypoints) -> list[CaptionWarning]:
    """What was not to be seen in a clip."""
    if not person_present(clip.points).any():
        return [CaptionWarning("no_person", "No person was found in any frame, so there is nothing to recognise.")]
    if not hand_present(clip.points).any():
        return [CaptionWarning("no_hands", "A person was found, but no hand in any frame; signs need visible hands.")]
    return []


def nothing_seen(clip: Keypoints, fps: float) -> Recognition:
    """The answer for a clip without a person: no gloss, no sentence; the model has nothing to look at."""
    return Recognition(
        segments=(),
        sentence="",
        confidence=0.0,
        frame_count=len(clip),
        duration_s=clip.duration_s,
        fps=fps,
        attention={"rgb": 0.0, "pose": 0.0},
        stage_s={},
    )
