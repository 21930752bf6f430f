"""Small media files made on the spot: videos, sound, pictures, landmarks, and broken ones."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import numpy as np
import simplejpeg
from numpy.typing import NDArray


def picture(width: int = 96, height: int = 64, shade: int = 90) -> NDArray[np.uint8]:
    """RGB (height, width, 3): a plain ground with a lighter box."""
    rgb = np.full((height, width, 3), shade, np.uint8)
    rgb[height // 4 : height // 2, width // 4 : width // 2] = 200
    return rgb


def jpeg(width: int = 96, height: int = 64, shade: int = 90) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(picture(width, height, shade))
    return data


def jpeg_base64(width: int = 96, height: int = 64) -> str:
    return base64.b64encode(jpeg(width, height)).decode()


def video(
    path: Path,
    frames: int = 12,
    width: int = 96,
    height: int = 64,
    fps: int = 25,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    index_first: bool = False,
) -> Path:
    """A video without a person; the container follows from the suffix of `path`."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if index_first else {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(width, height, 60 + index % 8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    """A file with a sound track and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def claim_duration(path: Path, seconds: float) -> Path:
    """Write another duration into every header of an MP4 file (version 0 boxes `mvhd`, `tkhd`, `mdhd`)."""
    data = bytearray(path.read_bytes())
    scale = 1000
    for name, at in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 20)):
        box = data.find(name)
        if name != b"tkhd":
            scale = int.from_bytes(data[box + at : box + at + 4], "big")
            data[box + at + 4 : box + at + 8] = int(seconds * scale).to_bytes(4, "big")
        else:
            data[box + at + 4 : box + at + 8] = int(seconds * 1000).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def signer(frames: int = 40, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Landmark blocks of a made-up person who moves both hands: pose (T,33,3), left and right (T,21,2)."""
    rng = np.random.default_rng(seed)
    pose = np.full((frames, 33, 3), 0.5, np.float32)
    pose[..., 1] = np.linspace(0.2, 0.95, 33, dtype=np.float32)
    pose[:, 11, :2], pose[:, 12, :2] = (0.65, 0.45), (0.35, 0.45)
    pose[..., 2] = 0.99
    sway = np.sin(np.linspace(0, 6, frames, dtype=np.float32))[:, None, None] * 0.05
    hand = 0.06 * rng.standard_normal((1, 21, 2)).astype(np.float32)
    left = np.array([0.62, 0.6], np.float32) + hand + sway
    right = np.array([0.38, 0.6], np.float32) - hand * [1, -1] - sway
    return {"pose": pose, "left": left.astype(np.float32), "right": right.astype(np.float32)}


def npz(frames: int = 40, fps: float = 25.0, **replace: object) -> bytes:
    """A landmark file in the corpus's layout; `replace` swaps or removes (None) entries."""
    entries: dict[str, object] = {**signer(frames), "fps": np.float32(fps), **replace}
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value for name, value in entries.items() if value is not None})
    return buffer.getvalue()
