"""A video, images or a landmark file to keypoints, with the service's limits, and cancellable."""

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

#: Seconds that reading may take per second of the clip, in addition to CLIP_TIMEOUT_S: twice what is needed when five
#: clips share each core.
SECONDS_PER_SECOND = 10
LANDMARK_SUFFIXES = frozenset({".npz", ".pose", ".json"})


class Cancelled(Exception):
    """The clip was cancelled."""


class _Deadline:
    """Raises Cancelled once `cancel` is set, and ClipTimeout when reading a clip has taken more than timeout_s, plus
    SECONDS_PER_SECOND for each second of the clip so far."""

    def __init__(self, timeout_s: float, cancel: Event | None) -> None:
        self._timeout_s, self._cancel = timeout_s, cancel
        self._began = time.perf_counter()
        self.read_s = 0.0
        """Time of the last frame, in seconds of the clip."""

    def check(self) -> None:
        """Called before each packet of a video and after each frame."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled
        if time.perf_counter() - self._began > self._timeout_s + SECONDS_PER_SECOND * self.read_s:
            raise ClipTimeout(
                f"Reading the first {self.read_s:.1f} s of the clip took more than {self._timeout_s:g} s plus "
                f"{SECONDS_PER_SECOND} s for each second of it (CLIP_TIMEOUT_S). Send a smaller clip, or try again "
                "when the service is less busy."
            )


class _Decoding:
    """The same frames, with the time that decoding them took added up. Raises what the deadline raises."""

    def __init__(
        self, frames: Iterable[Frame], deadline: _Deadline, on_frame: Callable[[], object] | None = None
    ) -> None:
        self._frames, self._deadline, self._on_frame = iter(frames), deadline, on_frame
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        self._deadline.check()
        began = time.perf_counter()
        try:
            frame = next(self._frames)
        finally:
            self.seconds += time.perf_counter() - began
        self._deadline.read_s = frame.time_s
        self._deadline.check()
        if self._on_frame is not None:
            self._on_frame()
        return frame


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How a clip becomes keypoints."""

    limits: VideoLimits
    """Limits of the video file."""
    timeout_s: float
    """Seconds that a clip may take, in addition to SECONDS_PER_SECOND for each second of its length."""
    frame_skip: int = 0
    """Frames skipped after each one that is read."""
    motion_threshold: float = 0.0
    """Frames that differ less than this from the one before repeat its landmarks; 0 = off."""
    recogniser: Recogniser | None = None
    """The recogniser of the clip; its RGB encoder, if it has one, gets the images."""
    cancel: Event | None = None
    """Once it is set, Cancelled is raised before the next frame or packet."""
    on_frame: Callable[[], object] | None = None
    """Called for each frame that has been decoded."""
    on_stage: OnStage = no_op_observer
    """Called with the seconds of each stage."""

    @classmethod
    def of(cls, settings: Settings, **rest: Any) -> ClipOptions:
        """From the settings; `rest` are the other fields."""
        limits = VideoLimits(max_bytes=settings.max_upload_bytes, max_duration_s=settings.max_duration_s)
        return cls(limits, settings.clip_timeout_s, settings.frame_skip, settings.motion_threshold, **rest)


def keypoints_from_frames(
    frames: Iterable[Frame], track: LandmarkTrack, options: ClipOptions, deadline: _Deadline | None = None
) -> Keypoints:
    """Find the landmarks in images that are decoded as they are asked for.

    Raises LandmarksUnavailable, Cancelled, ClipTimeout, and whatever the decoder raises.
    """
    deadline = deadline or _Deadline(options.timeout_s, options.cancel)
    decoding = _Decoding(frames, deadline, options.on_frame)
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

    Raises InvalidVideo, LandmarksUnavailable, Cancelled, ClipTimeout.
    """
    deadline = _Deadline(options.timeout_s, options.cancel)
    frames = read_frames(path, options.limits, on_packet=deadline.check)
    with closing(cast(Generator[Frame, None, None], frames)):
        return keypoints_from_frames(frames, track, options, deadline)


def check_duration(duration_s: float, max_s: float) -> None:
    """Raise VideoTooLong for a clip that lasts longer than `max_s`, which is MAX_DURATION_S."""
    if duration_s > max_s:
        raise VideoTooLong(f"The clip lasts {duration_s:.1f} s; the limit is {max_s:g} s. Split it.")


def warnings_about(clip: Keypoints) -> list[CaptionWarning]:
    """What was missing in a clip."""
    if not person_present(clip.points).any():
        return [CaptionWarning("no_person", "No person was found in any frame, so there is nothing to recognise.")]
    if not hand_present(clip.points).any():
        return [CaptionWarning("no_hands", "A person was found, but no hand in any frame; signs need visible hands.")]
    return []


def nothing_seen(clip: Keypoints, fps: float) -> Recognition:
    """The answer for a clip without a person: no gloss, no sentence; the model has no input."""
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
