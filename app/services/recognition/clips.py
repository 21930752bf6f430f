"""A video, images or a landmark file to keypoints, with the service's limits, and cancellable."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

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


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How a clip becomes keypoints."""

    settings: Settings
    """Limits, and which frames are left out."""
    recogniser: Recogniser
    """The recogniser of the clip; its RGB encoder, if it has one, gets the images."""
    cancel: Event | None = None
    """Once it is set, Cancelled is raised before the next frame or packet."""
    on_frame: Callable[[], object] = lambda: None
    """Called for each frame that has been decoded."""
    on_stage: OnStage = no_op_observer
    """Called with the seconds of each stage."""
    max_duration_s: float | None = None
    """A limit for this clip, below MAX_DURATION_S."""

    @property
    def limits(self) -> VideoLimits:
        """Limits of the video file."""
        return video_limits(self.settings, self.max_duration_s)


def video_limits(settings: Settings, max_duration_s: float | None = None) -> VideoLimits:
    """max_duration_s: a limit for one file, below MAX_DURATION_S."""
    longest_s = settings.max_duration_s if max_duration_s is None else min(max_duration_s, settings.max_duration_s)
    return VideoLimits(max_bytes=settings.max_upload_bytes, max_duration_s=longest_s)


class _Watch:
    """Raises Cancelled once a clip is cancelled, and ClipTimeout when reading it has taken more than CLIP_TIMEOUT_S,
    plus SECONDS_PER_SECOND for each second of the clip so far."""

    def __init__(self, options: ClipOptions) -> None:
        self._options = options
        self._began = time.perf_counter()
        self._read_s = 0.0  # time of the last frame, in seconds of the clip
        self.decoding_s = 0.0

    def check(self) -> None:
        """Called before each packet of a video and after each frame."""
        if self._options.cancel is not None and self._options.cancel.is_set():
            raise Cancelled
        timeout_s = self._options.settings.clip_timeout_s
        if time.perf_counter() - self._began > timeout_s + SECONDS_PER_SECOND * self._read_s:
            raise ClipTimeout(
                f"Reading the first {self._read_s:.1f} s of the clip took more than {timeout_s:g} s plus "
                f"{SECONDS_PER_SECOND} s for each second of it (CLIP_TIMEOUT_S). Send a smaller clip, or try again "
                "when the service is less busy."
            )

    def over(self, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """The same frames, each checked, with the time that decoding them takes added up. Closing it closes a decoder
        that is a generator."""
        source = iter(frames)
        try:
            while True:
                self.check()
                began = time.perf_counter()
                try:
                    frame = next(source, None)
                finally:
                    self.decoding_s += time.perf_counter() - began
                if frame is None:
                    return
                self._read_s = frame.time_s
                self.check()
                self._options.on_frame()
                yield frame
        finally:
            if isinstance(source, Generator):
                source.close()  # now, and not when the exception that ended the clip is collected


def keypoints_from_frames(
    frames: Iterable[Frame], track: LandmarkTrack, options: ClipOptions, watch: _Watch | None = None
) -> Keypoints:
    """Find the landmarks in images that are decoded as they are asked for. Raises LandmarksUnavailable, Cancelled,
    ClipTimeout, and whatever the decoder raises."""
    watch = watch or _Watch(options)
    encoding_s = 0.0

    def on_encoded(stage: str, seconds: float) -> None:
        nonlocal encoding_s
        encoding_s += seconds

    reader = ImageReader.of(options.recogniser, on_encoded)
    began = time.perf_counter()
    with closing(watch.over(frames)) as watched:
        keypoints = find_landmarks_with_skipping(
            watched,
            track,
            options.settings.frame_skip,
            options.settings.motion_threshold,
            reader.push if reader is not None else None,
        )
    options.on_stage(DECODE, watch.decoding_s)
    if reader is not None:
        options.on_stage(IMAGES, encoding_s)
    options.on_stage(LANDMARKS, time.perf_counter() - began - watch.decoding_s - encoding_s)
    return keypoints


def keypoints_from_video(path: Path, track: LandmarkTrack, options: ClipOptions) -> Keypoints:
    """Decode a video and find the landmarks in it, as `keypoints_from_frames` does. Raises InvalidVideo,
    LandmarksUnavailable, Cancelled, ClipTimeout."""
    watch = _Watch(options)
    frames = read_frames(path, options.limits, on_packet=watch.check)
    return keypoints_from_frames(frames, track, options, watch)


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
