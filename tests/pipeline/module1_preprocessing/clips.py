"""Videos made on the spot for the tests of module 1: a grey ground with a bright box whose place tells the frame."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def picture(index: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """RGB (height, width, 3): brightness grows with the index; the top left corner is red, whatever happens."""
    rgb = np.full((height, width, 3), 40 + 5 * (index % 30), np.uint8)
    rgb[: height // 4, : width // 4] = (250, 0, 0)
    return rgb


def index_of(rgb: NDArray[np.uint8]) -> int:
    """Which picture(index) this was, from the brightness in the middle."""
    height, width = rgb.shape[:2]
    return round((float(rgb[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].mean()) - 40) / 5)


def write_video(
    path: Path,
    times_s: Sequence[float],
    width: int = 96,
    height: int = 64,
    codec: str = "libx264",
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    fast_start: bool = False,
    clock: int = 1000,
) -> Path:
    """One picture for each time; the container follows from the suffix.

    rotation: degrees clockwise when shown. clock: ticks per second.
    """
    options = {"movflags": "faststart"} if fast_start else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, clock)
        if codec == "libx264":
            stream.options = {"crf": "5", "bf": "0"}
        else:
            stream.bit_rate = 8_000_000
        if rotation:
            stream.set_display_rotation(-rotation)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for index, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame.pts, frame.time_base = round(time_s * clock), Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for index in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def at_rate(fps: float, frames: int) -> list[float]:
    return [index / fps for index in range(frames)]


def patch_box(data: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """The bytes of an MP4 with `value` written `offset` bytes behind the name of every box called `name`."""
    out, start = bytearray(data), 0
    while (at := data.find(name, start)) >= 0:
        out[at + 4 + offset : at + 4 + offset + len(value)] = value
        start = at + 4
    return bytes(out)
