"""Pictures and videos made to end or to hold up a service, and an honest one beside each."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

#: (width, height): sides that end the process inside MediaPipe, and strips that are only too long.
BAD_SIZES = ((40000, 100), (100, 40000), (8200, 1000), (600, 50))


def wide_jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(buffer, "JPEG", quality=20)
    return buffer.getvalue()


def wide_gif(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "GIF")
    return buffer.getvalue()


def many_scans(scans: int, width: int = 4096, height: int = 2304) -> bytes:
    """A progressive grey JPEG of `scans` scans: each but the first has about 20 bytes and is a pass over all of it."""
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    table = bytes([1] + [0] * 15)
    parts = [
        b"\xff\xd8",
        b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64),
        b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + bytes([1, 0x11, 0]),
        b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + table + bytes([0]),
        b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + table + bytes([0xE0]),  # end of band for 2^14 blocks
        b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 0, 0]) + bytes((blocks + 7) // 8),
    ]
    bits = "010101010101010" * -(-blocks // 27306)
    bits += "0" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big")
    parts += [b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 1, 63, 0]) + coded] * (scans - 1)
    return b"".join(parts) + b"\xff\xd9"


#: Pictures and the code with which every door refuses them.
PICTURES: dict[str, tuple[bytes, str]] = {
    **{f"{width}x{height}": (wide_jpeg(width, height), "bad_dimensions") for width, height in BAD_SIZES},
    "5000 scans": (many_scans(5000), "too_expensive"),
}


def motion_jpeg(path: Path, pictures: list[bytes], width: int, height: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.codec_context.open()
        for index, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            container.mux(packet)
    return path


def latin1_title(path: Path, codec: str) -> Path:
    """A video whose title is not UTF-8; the container follows from the suffix."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Cafe XYZQ"
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 90, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert b"XYZQ" in data
    path.write_bytes(data.replace(b"XYZQ", b"caf\xe9"))
    return path


def many_slices(path: Path, codec: str, copies: int, width: int = 320, height: int = 240) -> Path:
    """A video whose packets each repeat their last slice `copies` times: of H.264 (libx264), H.265 (libx265) or
    MPEG-2 (mpeg2video); the container follows from the suffix."""
    plain = path.with_name(f"plain_{path.name}")
    options = {
        "libx264": {"preset": "ultrafast", "x264-params": "slices=2:bframes=0"},
        "libx265": {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none"},
        "mpeg2video": {"bf": "0"},
    }[codec]
    with av.open(str(plain), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size == 0:
                continue
            data = bytes(packet)
            longer = av.Packet(data + _last_unit(data, codec) * copies)
            longer.stream, longer.pts, longer.dts = stream, packet.pts, packet.dts
            longer.time_base, longer.is_keyframe = packet.time_base, packet.is_keyframe
            container.mux(longer)
    return path


def _last_unit(data: bytes, codec: str) -> bytes:
    """The last slice of a packet with what delimits it."""
    if codec == "mpeg2video":
        return data[data.rindex(b"\0\0\1") :]
    at = last = 0
    while at < len(data):
        last, at = at, at + 4 + int.from_bytes(data[at : at + 4], "big")
    return data[last:]
