"""From a video, pictures or a landmark file to keypoints, with the service's limits and a way to stop in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, cast

from app.core.errors import ClipTimeout, VideoTooLong
from app.core.settings import Settings
from app.pipeline.caption import CaptionWarning
from app.pipeline.image_reader import ImageReader
from app.pipeline.keypoints import Keypoints, hand_present, person_present
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkTrack
from app.pipeline.module1_preprocessing.motion import find_landmarks_with_skipping
from app.pipeline.module1_preprocessing.video import Frame, VideoLimits, read_frames
from app.pipeline.recogniser import Recogniser, Recognition
from app.pipeline.stages import DECODE, IMAGES, LANDMARKS, OnStage, no_op_observer

#: A clip that takes longer than this for each of its seconds, beside CLIP_TIMEOUT_S for all of it, is given up: twice
#: what a machine needs on which five clips share each core.
SECONDS_PER_SECOND = 10
LANDMARK_SUFFIXES = frozenset({".npz", ".pose", ".json"})


class Cancelled(Exception):
    """Nobody waits for this clip any more."""


class _Decoding:
    """The same frames, with the time that decoding them took added up.

    Raises Cancelled before the next frame once `cancel` is set, and ClipTimeout when decoding and everything done
    between two frames has taken more than timeout_s, plus SECONDS_PER_SECOND for each second of the clip so far.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        timeout_s: float,
        cancel: Event | None = None,
        on_frame: Callable[[], object] | None = None,
    ) -> None:
        self._frames, self._timeout_s, self._cancel, self._on_frame = iter(frames), timeout_s, cancel, on_frame
        self._began = time.perf_counter()
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
        if time.perf_counter() - self._began > self._timeout_s + SECONDS_PER_SECOND * frame.time_s:
            raise ClipTimeout(
                f"Reading the first {frame.time_s:.1f} s of the clip took more than {self._timeout_s:g} s plus "
                f"{SECONDS_PER_SECOND} s for each second of it (CLIP_TIMEOUT_S). Send a smaller clip, or try again "
                "when the service is less busy."
            )
        if self._on_frame is not None:
            self._on_frame()
        return frame


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How a clip becomes keypoints."""

    limits: VideoLimits
    """Of the video file."""
    timeout_s: float
    """Seconds that a clip may take, beside SECONDS_PER_SECOND for each of its own."""
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
    on_stage: OnStage = no_op_observer
    """Gets the seconds of each stage."""

    @classmethod
    def of(cls, settings: Settings, **rest: Any) -> ClipOptions:
        """Those that the settings name; `rest` are other fields."""
        limits = VideoLimits(max_bytes=settings.max_upload_bytes, max_duration_s=settings.max_duration_s)
        return cls(limits, settings.clip_timeout_s, settings.frame_skip, settings.motion_threshold, **rest)


def keypoints_from_frames(frames: Iterable[Frame], track: LandmarkTrack, options: ClipOptions) -> Keypoints:
    """Find the landmarks in images that are decoded as they are asked for.

    Raises LandmarksUnavailable, Cancelled, and whatever the decoder raises.
    """
    decoding = _Decoding(frames, options.timeout_s, options.cancel, options.on_frame)
    encoding_s = 0.0

    def on_encoded(stage: str, seconds: float) -> None:
        nonlocal encoding_s
        encoding_s += seconds

    reader = ImageReader.of(options.recogniser, on_encoded) if options.recogniser is not None else None
    began = time.perf_counter()
    keypoints = find_landmarks_with_skipping(
        decoding,
        track,
        options.frame_skip,
        options.motion_threshold,
        reader.push if reader is not None else None,
    )
    options.on_stage(DECODE, decoding.seconds)
    if reader is not None:
        options.on_stage(IMAGES, encoding_s)
    options.on_stage(LANDMARKS, time.perf_counter() - began - decoding.seconds - encoding_s)
    return keypoints


def keypoints_from_video(path: Path, track: LandmarkTrack, options: ClipOptions) -> Keypoints:
    """Decode a video and find the landmarks in it, as `keypoints_from_frames` does.

    Raises InvalidVideo, LandmarksUnavailable, Cancelled.
    """
    frames = read_frames(path, options.limits)
    with closing(cast(Generator[Frame, None, None], frames)):
        return keypoints_from_frames(frames, track, options)


def check_duration(duration_s: float, max_s: float) -> None:
    """Raise VideoTooLong for a clip that lasts longer than `max_s`, which is MAX_DURATION_S."""
    if duration_s > max_s:
        raise VideoTooLong(f"The clip lasts {duration_s:.1f} s; at most {max_s:g} s are read. Cut it into parts.")


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
