"""Landmarks as JSON text, read with bounds on size, depth and number of elements.

msgspec reads it, because hostile JSON must not cost more than valid JSON: it checks types while it parses, skips
unknown keys without building objects, and returns each frame as raw text first. A generic parser builds millions of
Python objects from 16 MiB of `[],[],...` while it holds the interpreter lock, which stops every other thread for
seconds; here the same text is refused within a tenth of a second. Frames are decoded one by one, so the lock is
released between them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import NUM_HAND, NUM_KEYPOINTS, NUM_POSE
from app.pipeline.module1_preprocessing.invalid import InvalidLandmarkFile

#: Values of each frame (points, values of a point) by name.
_SHAPES = {"points": (NUM_KEYPOINTS, 3), "pose": (NUM_POSE, 3), "left": (NUM_HAND, 2), "right": (NUM_HAND, 2)}
#: Beside the frames: times, sizes and keys this module does not know.
_SPARE = 20_000


class _Landmarks(msgspec.Struct):
    points: list[msgspec.Raw] | None = None
    pose: list[msgspec.Raw] | None = None
    left: list[msgspec.Raw] | None = None
    right: list[msgspec.Raw] | None = None
    fps: float | None = None
    width: float | None = None
    height: float | None = None
    times: list[float] | None = None


_clip = msgspec.json.Decoder(_Landmarks)
# Tuples of fixed length: the first superfluous element ends the decoding.
_frame = {
    name: msgspec.json.Decoder(tuple[(tuple[(float,) * values],) * points])  # type: ignore[misc]
    for name, (points, values) in _SHAPES.items()
}


def read_arrays(text: bytes | bytearray, max_frames: int) -> dict[str, NDArray[np.float64]]:
    """The arrays of a JSON object with landmarks, by name: `points` (T, 75, 3), `pose` (T, 33, 3), `left` and `right`
    (T, 21, 2), `times` (T,), `fps`, `width` and `height` (). Those that are missing or null are left out.

    Raises InvalidLandmarkFile: "not_json", "not_landmarks" where it is no object, "bad_shape" for a value of the wrong
    type, shape or range.
    """
    # Each element of valid JSON but the first of its list follows a comma. Counting takes 0.5 ms a MiB.
    if text.count(b",") > max_frames * NUM_KEYPOINTS * 3 + _SPARE:
        raise _wrong(f"there are more numbers than {max_frames} frames have, which is the limit")
    try:
        clip = _clip.decode(text)
    except msgspec.ValidationError as error:
        if text[:100].lstrip()[:1] != b"{":
            wanted = "landmarks are a JSON object with 'points', or 'pose', 'left', 'right'"
            raise InvalidLandmarkFile("not_landmarks", wanted) from error
        raise _wrong(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if b"NaN" in text or b"Infinity" in text:
            raise _wrong("JSON has no NaN or Infinity; send 0 for missing points") from error
        raise InvalidLandmarkFile("not_json", f"the text is not JSON: {error}") from error
    arrays = {name: _block(name, frames, max_frames) for name in _SHAPES if (frames := getattr(clip, name)) is not None}
    for name in ("fps", "width", "height", "times"):
        value: Any = getattr(clip, name)
        if value is not None:
            arrays[name] = np.asarray(value, np.float64)
    return arrays


def _wrong(message: str) -> InvalidLandmarkFile:
    return InvalidLandmarkFile("bad_shape", message)


def _block(name: str, frames: list[msgspec.Raw], max_frames: int) -> NDArray[np.float64]:
    points, values = _SHAPES[name]
    if not 1 <= len(frames) <= max_frames:
        raise _wrong(f"'{name}' has {len(frames)} frames; 1 to {max_frames} are accepted")
    block = np.empty((len(frames), points, values))
    for index, frame in enumerate(frames):
        try:
            block[index] = _frame[name].decode(frame)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _wrong(
                f"frame {index} of '{name}' must be {points} lists of {values} numbers each ({error})"
            ) from error
    return block
