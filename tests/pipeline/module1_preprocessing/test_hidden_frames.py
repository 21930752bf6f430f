"""Videos whose packets hold no picture to show, or very many: neither may take time or memory without a bound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.pipeline.module1_preprocessing.packet_cost import MAX_AV1_FRAMES, too_many_av1_frames
from app.pipeline.module1_preprocessing.video import InvalidVideo, VideoLimits, read_frames

FRAME, DELIMITER = 6, 2


def obu(kind: int, payload: bytes, sized: bool = True) -> bytes:
    size = bytes([len(payload) | 0x80, 0]) if sized else b""  # a longer spelling than needed, as encoders write too
    return bytes([kind << 3 | (2 if sized else 0)]) + size + payload


def test_av1_frames_are_counted() -> None:
    packet = obu(DELIMITER, b"") + obu(FRAME, b"abc") * MAX_AV1_FRAMES
    assert not too_many_av1_frames(packet)
    assert too_many_av1_frames(packet + obu(FRAME, b"", sized=False))
    assert not too_many_av1_frames(packet + obu(DELIMITER, b"", sized=False) + obu(FRAME, b""))


@pytest.mark.parametrize("damaged", [b"", b"\x32", b"\x32\xff", b"\x32" + b"\xff" * 12, b"\x36", b"\x32\x7f\x00"])
def test_damaged_av1_packets_are_left_to_the_decoder(damaged: bytes) -> None:
    assert not too_many_av1_frames(damaged)


def packets(path: Path, codec: str, options: dict[str, str]) -> list[bytes]:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 90, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def write(path: Path, codec: str, options: dict[str, str], coded: list[bytes], step_ms: int = 40) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.open()
        for index, data in enumerate(coded):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, index * step_ms, index * step_ms
            packet.time_base, packet.is_keyframe = Fraction(1, 1000), index == 0
            container.mux(packet)
    return path


def test_a_packet_of_many_av1_frames_is_refused(tmp_path: Path) -> None:
    """A thousand pictures of 4096x2304 in one packet, 35 KB, would be 14 GB at once."""
    options = {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0"}
    first, second, _ = packets(tmp_path / "seed.mkv", "libsvtav1", options)
    assert len(list(read_frames(write(tmp_path / "good.mkv", "libsvtav1", options, [first, second])))) == 2
    for place, coded in enumerate(([first, second * 100], [first + second * 100])):
        path = write(tmp_path / f"bomb{place}.mkv", "libsvtav1", options, coded)
        with pytest.raises(InvalidVideo) as refused:
            list(read_frames(path))
        assert refused.value.code == "too_expensive"


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VP8 video of one picture that is shown and 500 that are not."""
    folder = tmp_path_factory.mktemp("hidden")
    options = {"lag-in-frames": "0", "deadline": "realtime", "auto-alt-ref": "0"}
    first, second, _ = packets(folder / "seed.mkv", "libvpx", options)
    path = write(folder / "hidden.mkv", "libvpx", options, [first] + [second] * 500, step_ms=1)  # short, by its header
    content = path.read_bytes()
    assert content.count(second) == 500
    path.write_bytes(content.replace(second, bytes([second[0] & ~0x10]) + second[1:]))  # the bit `show_frame`
    return path


def test_hidden_frames_count_among_the_pixels(hidden: Path) -> None:
    assert len(list(read_frames(hidden))) == 1
    with pytest.raises(InvalidVideo) as refused:
        list(read_frames(hidden, VideoLimits(max_total_pixels=300 * 128 * 96)))
    assert refused.value.code == "too_expensive"


def test_reading_can_be_ended_between_hidden_frames(hidden: Path) -> None:
    """The service ends it for a deadline, a client that has gone, and its own end."""
    gone = False

    def on_packet() -> None:
        if gone:
            raise TimeoutError

    frames = read_frames(hidden, on_packet=on_packet)
    next(frames)
    gone = True
    with pytest.raises(TimeoutError):
        next(frames)
