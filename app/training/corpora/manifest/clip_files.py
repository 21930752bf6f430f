"""One clip of a manifest, whatever it is stored as: its frames, or its landmarks where they are the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.image_folder import read_images
from app.pipeline.module1_preprocessing.landmark_files import MAX_FRAMES, load_landmarks
from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.module1_preprocessing.video import FALLBACK_FPS, Frame, VideoLimits, probe, read_frames
from app.training.corpora.manifest.manifest import Entry

#: Wider than for uploads, because corpora are trusted; the result must still fit a landmark file.
LIMITS = VideoLimits(
    max_bytes=8 * 1024**3,
    max_duration_s=MAX_FRAMES / MODEL_FPS - 1,
    max_frames=60_000,
    max_total_pixels=60_000 * 1920 * 1080,
)


def frames_of(path: Path, entry: Entry) -> Iterator[Frame]:
    """The frames of a video or of a folder of pictures, at most 25 a second, only the part that counts.

    The manifest's fps and aspect win over what the file claims; times begin at 0. Raises (on iteration) InvalidVideo,
    OSError.
    """
    pace = 1.0
    if path.is_dir():
        source = read_images(path, entry.fps or FALLBACK_FPS, LIMITS)
    else:
        if entry.fps is not None:
            pace = (probe(path, LIMITS).fps or entry.fps) / entry.fps
        source = read_frames(path, LIMITS, MODEL_FPS * pace)
    first: float | None = None
    for frame in source:
        time_s = frame.time_s * pace
        if entry.start_s is not None and time_s < entry.start_s - 1e-6:
            continue
        if entry.end_s is not None and time_s > entry.end_s - 1e-6:
            return
        if first is None:
            first = time_s
        yield Frame(_stretched(frame, entry.aspect), time_s - first)


def _stretched(frame: Frame, aspect: float | None) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The picture with its true proportions: the width as stored, the height to fit."""
    width = frame.rgb.shape[1]
    if aspect is None or frame.rgb.shape[0] == round(width / aspect):
        return frame.rgb
    return np.asarray(cv2.resize(frame.rgb, (width, max(1, round(width / aspect)))), np.uint8)


def landmarks_of(path: Path, entry: Entry) -> Keypoints:
    """The clip of a landmark file, by the manifest's fps and aspect where it states them, only the part that counts.

    Raises InvalidLandmarkFile, OSError.
    """
    clip = load_landmarks(path)
    if entry.fps is not None:
        clip = Keypoints.at_rate(clip.points, entry.fps, clip.aspect)
    if entry.aspect is not None:
        clip = replace(clip, aspect=entry.aspect)
    if entry.start_s is None and entry.end_s is None:
        return clip
    seconds = clip.times - (clip.times[0] if len(clip) else 0.0)
    inside = seconds >= (entry.start_s or 0.0) - 1e-6
    if entry.end_s is not None:
        inside &= seconds <= entry.end_s - 1e-6
    return Keypoints(clip.points[inside], clip.times[inside], clip.aspect)
