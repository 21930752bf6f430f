"""Landmark files (.npz, .pose, JSON) become Keypoints, or are refused with a named error."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    DEFAULT_ASPECT,
    LEFT_HAND,
    NUM_KEYPOINTS,
    POSE,
    RIGHT_HAND,
    InvalidKeypoints,
    Keypoints,
    joined_blocks,
)
from app.pipeline.module1_preprocessing.invalid import InvalidLandmarkFile
from app.pipeline.module1_preprocessing.landmark_json import read_arrays
from app.pipeline.module1_preprocessing.npz import read_npz

MAX_FRAMES = 6000
#: Size limit of a file, and of everything unpacked from it: 6000 frames of 576 points, four 32-bit numbers each.
MAX_BYTES = 64 * 1024 * 1024
#: Frame rate of files that do not state one.
DEFAULT_FPS = 25.0
#: Relative coordinates beyond this are pixels or damaged data.
_MAX_COORDINATE = 10.0
_BLOCKS = ("pose", "left", "right")
_POSE_COMPONENTS = {"POSE_LANDMARKS": POSE, "LEFT_HAND_LANDMARKS": LEFT_HAND, "RIGHT_HAND_LANDMARKS": RIGHT_HAND}


def load_landmarks(source: str | os.PathLike[str] | bytes, filename: str | None = None) -> Keypoints:
    """Landmarks from a file or its bytes; the extension of `filename` (default: the path's) determines the format.

    .npz: `pose` (T, 33, 3) x, y, visibility; `left`, `right` (T, 21, 2), a missing hand all zeros; optional `fps`
        (1..240, default 25), `width` and `height` of the image (default 4:3) and `times` (T,) in seconds.
    .pose: the pose-format library's file of MediaPipe Holistic, whole or reduced to body and hands; the first person.
    .json: see `keypoints_from_json`.

    Coordinates are relative to the image. Raises InvalidLandmarkFile; OSError when the file cannot be read.
    """
    if isinstance(source, bytes):
        data = source
    else:
        filename = filename or os.fspath(source)
        _check_bytes(Path(source).stat().st_size)
        data = Path(source).read_bytes()
    _check_bytes(len(data))
    match Path(filename or "").suffix.lower():
        case ".npz":
            return _from_arrays(read_npz(data, (*_BLOCKS, "fps", "width", "height", "times"), MAX_BYTES))
        case ".pose":
            return _from_pose_format(data)
        case ".json":
            return keypoints_from_json(data)
        case other:
            raise InvalidLandmarkFile(
                "not_landmarks", f"files ending in '{other}' are not landmarks; send .npz, .pose or .json"
            )


def keypoints_from_json(text: bytes | bytearray) -> Keypoints:
    """Landmarks from a JSON object.

    Either {"points": [[[x, y, v] * 75] * T], ...} with v the visibility of body points and the presence of hand
    points, or {"pose": ..., "left": ..., "right": ...} as in .npz. Beside them `fps`, `width`, `height` and `times`
    as in .npz. Raises InvalidLandmarkFile.
    """
    return _from_arrays(read_arrays(text, MAX_FRAMES))


def keypoints_from_points(points: NDArray[np.floating[Any]], fps: float, aspect: float) -> Keypoints:
    """Landmarks (T, 75, 3) that are numbers already, equally spaced; aspect: width / height of the image.

    Raises InvalidLandmarkFile.
    """
    if not 0.1 <= aspect <= 10:
        raise InvalidLandmarkFile("bad_size", f"'aspect' is {aspect:g}; width / height lies between 0.1 and 10")
    return _from_arrays({"points": points, "fps": np.asarray(fps), "width": np.asarray(aspect), "height": np.ones(())})


def save_npz(path: str | os.PathLike[str], keypoints: Keypoints) -> None:
    """Writes what `load_landmarks` reads back: points, times and aspect unchanged, positions of missing hands as 0."""
    points = keypoints.points
    hands = {
        name: np.where(points[:, where, 2:] > 0, points[:, where, :2], 0)
        for name, where in (("left", LEFT_HAND), ("right", RIGHT_HAND))
    }
    span = float(keypoints.times[-1] - keypoints.times[0]) if len(keypoints) > 1 else 0.0
    fps = (len(keypoints) - 1) / span if span else DEFAULT_FPS
    size = {"width": np.float64(720 * keypoints.aspect), "height": np.float64(720)}
    np.savez_compressed(
        path, pose=points[:, POSE], **hands, fps=np.float64(np.clip(fps, 1, 240)), times=keypoints.times, **size
    )


def _check_bytes(size: int) -> None:
    if size == 0:
        raise InvalidLandmarkFile("empty", "the file is empty")
    if size > MAX_BYTES:
        raise InvalidLandmarkFile("too_large", f"the landmarks take {size} bytes, the limit is {MAX_BYTES}")


def _check_frames(frames: int) -> None:
    if frames == 0:
        raise InvalidLandmarkFile("empty", "the landmarks contain no frame")
    if frames > MAX_FRAMES:
        raise InvalidLandmarkFile("too_long", f"the landmarks contain {frames} frames, the limit is {MAX_FRAMES}")


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Keypoints:
    if "points" in arrays:
        points = arrays["points"]
        if points.ndim != 3 or points.shape[1:] != (NUM_KEYPOINTS, 3):
            raise InvalidLandmarkFile(
                "bad_shape", f"'points' should be (frames, {NUM_KEYPOINTS}, 3), got {tuple(points.shape)}"
            )
        points = points.copy()
    else:
        missing = [name for name in _BLOCKS if name not in arrays]
        if missing:
            raise InvalidLandmarkFile(
                "missing_array", f"'{missing[0]}' is missing; needed are 'pose' (T,33,3), 'left' and 'right' (T,21,2)"
            )
        try:
            points = joined_blocks(arrays["pose"], arrays["left"], arrays["right"], np.float64)
        except InvalidKeypoints as error:
            raise InvalidLandmarkFile("bad_shape", str(error)) from error
    fps = _number(arrays, "fps", DEFAULT_FPS)
    if not 1 <= fps <= 240:
        raise InvalidLandmarkFile("bad_rate", f"'fps' is {fps:g}; it must lie between 1 and 240 frames per second")
    width, height = _number(arrays, "width", DEFAULT_ASPECT), _number(arrays, "height", 1.0)
    if ("width" in arrays) != ("height" in arrays) or not (width > 0 and height > 0 and 0.1 <= width / height <= 10):
        raise InvalidLandmarkFile(
            "bad_size", "'width' and 'height' must both be given, positive, at most 10 to 1 or 1 to 10"
        )
    return _checked(points, fps, width / height, arrays.get("times"))


def _number(arrays: Mapping[str, NDArray[Any]], name: str, default: float) -> float:
    if name not in arrays:
        return default
    if arrays[name].size != 1:
        raise InvalidLandmarkFile("bad_shape", f"'{name}' should be one number, got shape {tuple(arrays[name].shape)}")
    return float(arrays[name].reshape(()))


def _checked(points: NDArray[Any], fps: float, aspect: float, times: NDArray[Any] | None = None) -> Keypoints:
    """points (T, 75, 3), converted in place: range checks, hands' presence made 0 or 1."""
    _check_frames(len(points))
    if not np.isfinite(points).all():
        frame = int(np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))[0])
        raise InvalidLandmarkFile(
            "not_finite", f"frame {frame} contains NaN or infinite values; send 0 for missing points"
        )
    extreme = float(np.abs(points[..., :2]).max())
    if extreme > _MAX_COORDINATE:
        raise InvalidLandmarkFile(
            "out_of_range",
            f"a coordinate is {extreme:g}; x and y are relative to the image (1 = its width or height)",
        )
    confidence = points[..., 2]
    if confidence.min() < -0.01 or confidence.max() > 1.01:
        raise InvalidLandmarkFile("out_of_range", "visibility and presence lie between 0 and 1")
    points[:, POSE, 2] = points[:, POSE, 2].clip(0, 1)
    points[:, POSE.stop :, 2] = points[:, POSE.stop :, 2] > 0
    points = points.astype(np.float32)
    if times is None:
        return Keypoints.at_rate(points, fps, aspect)
    try:
        return Keypoints(points, np.asarray(times, np.float64), aspect)
    except InvalidKeypoints as error:
        raise InvalidLandmarkFile("bad_times", f"'times' cannot be used: {error}") from error


def _from_pose_format(data: bytes) -> Keypoints:
    from pose_format import Pose  # only here: it takes half a second that other inputs need not pay

    try:
        pose = Pose.read(data)
        names = {component.name: component for component in pose.header.components}
        size = pose.header.dimensions
        body, confidence = pose.body.data, pose.body.confidence
        fps = float(pose.body.fps)
    # The library has no error type of its own; these are what its reader raises on other or damaged bytes.
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError, NotImplementedError, struct.error) as error:
        raise InvalidLandmarkFile("not_landmarks", f"the file is not a readable .pose file: {error}") from error
    if body.ndim != 4 or body.shape[3] < 2 or body.shape[1] < 1:
        raise InvalidLandmarkFile(
            "bad_shape", f"the .pose body is {tuple(body.shape)}, not (frames, people, points, dims)"
        )
    _check_frames(len(body))
    if size.width <= 0 or size.height <= 0 or not 0.1 <= size.width / size.height <= 10:
        raise InvalidLandmarkFile("bad_size", f"the .pose header gives an image size of {size.width}x{size.height}")
    if not 1 <= fps <= 240:
        raise InvalidLandmarkFile("bad_rate", f"the .pose file states {fps:g} frames per second; 1 to 240 are accepted")
    ends = itertools.accumulate(len(component.points) for component in names.values())
    starts = dict(zip(names, [0, *ends], strict=False))
    points = np.zeros((len(body), NUM_KEYPOINTS, 3))
    pixels = np.ma.filled(body[:, 0], 0.0)
    for name, where in _POSE_COMPONENTS.items():
        count = where.stop - where.start
        if name not in names or len(names[name].points) != count:
            found = ", ".join(f"{n} ({len(c.points)})" for n, c in names.items())
            raise InvalidLandmarkFile(
                "bad_shape",
                f"the .pose file needs {name} with {count} points, as MediaPipe Holistic has; it holds {found}",
            )
        source = slice(starts[name], starts[name] + count)
        points[:, where, :2] = pixels[:, source, :2] / (size.width, size.height)
        points[:, where, 2] = confidence[:, 0, source]
    return _checked(points, fps, size.width / size.height)
