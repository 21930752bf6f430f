"""From a video, pictures or a landmark file to keypoints, with the service's limits and a way to stop in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, cast

from app.core.errors import VideoTooLong
from app.core.settings import Settings
from app.pipeline.keypoints import Keypoints, hand_present, person_present
from app.pipeline.module1_preprocessing.landmarks.mediapipe import PoseExtractor
from app.pipeline.module1_preprocessing.motion import SkippingExtractor
from app.pipeline.module1_preprocessing.video import Frame, VideoLimits, read_frames
from app.pipeline.picture_reader import PictureReader
from app.pipeline.recogniser import Recogniser, Recognition
from app.pipeline.stages import DECODE, LANDMARKS, PICTURES, OnStage, unheard

LANDMARK_SUFFIXES = frozenset({".npz", ".pose", ".json"})


class Cancelled(Exception):
    """Nobody waits for this clip any more."""


@dataclass(frozen=True, slots=True)
class ClipWarning:
    """Something the user should know about an answer that is valid all the same."""

    code: str
    message: str


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


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How a clip becomes keypoints."""

    limits: VideoLimits
    """Of the video file."""
    frame_skip: int = 0
    """Frames left out behind each one that is read."""
    motion_threshold: float = 0.0
    """Frames that differ less than this from the one before repeat its landmarks; 0 switches that off."""
    recogniser: Recogniser | None = None
    """What will read the clip; its RGB encoder, if it has one, sees the images."""
    cancel: Event | None = None
    """Once it is set, Cancelled is raised before the next frame."""
    on_frame: Callable[[], object] | None = None
    """Called for each frame that has been decoded."""
    on_stage: OnStage = unheard
    """Gets the seconds of each stage."""

    @classmethod
    def of(cls, settings: Settings, **rest: Any) -> ClipOptions:
        """Those that the settings name; `rest` are other fields."""
        limits = VideoLimits(max_bytes=settings.max_upload_bytes, max_duration_s=settings.max_duration_s)
        return cls(limits, settings.frame_skip, settings.motion_threshold, **rest)


def keypoints_from_frames(frames: Iterable[Frame], extractor: PoseExtractor, options: ClipOptions) -> Keypoints:
    """Find the landmarks in images that are decoded as they are asked for.

    Raises LandmarksUnavailable, Cancelled, and whatever the decoder raises.
    """
    decoding = _Decoding(frames, options.cancel, options.on_frame)
    encoding_s = 0.0

    def on_encoded(stage: str, seconds: float) -> None:
        nonlocal encoding_s
        encoding_s += seconds

    reader = PictureReader.of(options.recogniser, on_encoded) if options.recogniser is not None else None
    began = time.perf_counter()
    keypoints = with_frame_skipping(extractor, options).extract(decoding, reader.push if reader is not None else None)
    options.on_stage(DECODE, decoding.seconds)
    if reader is not None:
        options.on_stage(PICTURES, encoding_s)
    options.on_stage(LANDMARKS, time.perf_counter() - began - decoding.seconds - encoding_s)
    return keypoints


def keypoints_from_video(path: Path, extractor: PoseExtractor, options: ClipOptions) -> Keypoints:
    """Decode a video and find the landmarks in it, as `keypoints_from_frames` does.

    Raises InvalidVideo, LandmarksUnavailable, Cancelled.
    """
    frames = read_frames(path, options.limits)
    with closing(cast(Generator[Frame, None, None], frames)):
        return keypoints_from_frames(frames, extractor, options)


def with_frame_skipping(extractor: PoseExtractor, options: ClipOptions) -> PoseExtractor:
    """The same extractor, or one that spares it work where FRAME_SKIP or MOTION_THRESHOLD ask for that."""
    if options.frame_skip == 0 and options.motion_threshold == 0:
        return extractor
    return SkippingExtractor(extractor, options.frame_skip, options.motion_threshold)


def check_duration(duration_s: float, max_s: float) -> None:
    """Raise VideoTooLong for a clip that lasts longer than `max_s`, which is MAX_DURATION_S."""
    if duration_s > max_s:
        raise VideoTooLong(f"The clip lasts {duration_s:.1f} s; at most {max_s:g} s are read. Cut it into parts.")


def warnings_about(clip: Keypoints) -> list[ClipWarning]:
    """What was not to be seen in a clip."""
    if not person_present(clip.points).any():
        return [ClipWarning("no_person", "No person was found in any frame, so there is nothing to recognise.")]
    if not hand_present(clip.points).any():
        return [ClipWarning("no_hands", "A person was found, but no hand in any frame; signs need visible hands.")]
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
