"""Packets that would hold a decoder up are refused before any decoder sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from app.pipeline.module1_preprocessing import video
from app.pipeline.module1_preprocessing.packet_cost import MAX_SLICES, too_many_slices
from app.pipeline.module1_preprocessing.video import InvalidVideo, probe, read_frames
from tests.pipeline.module1_preprocessing.clips import at_rate, write_video
from tests.support.hostile import many_slices, motion_jpeg
from tests.support.media import jpeg


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx264", "mkv"), ("libx264", "mp4"), ("libx264", "flv"), ("libx265", "mp4"), ("mpeg2video", "mkv")],
)
def test_thousands_of_slices_are_refused_without_a_decoder(
    codec: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many_slices(tmp_path / f"clip.{suffix}", codec, 5000)
    opened: list[str] = []
    real = av.open

    def watched(*args: Any, options: dict[str, str], **rest: Any) -> Any:
        opened.append(options["codec_whitelist"])
        return real(*args, options=options, **rest)

    monkeypatch.setattr(video.av, "open", watched)
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(InvalidVideo, match="slices") as refusal:
            read(path)
        assert refusal.value.code == "too_expensive"
    assert set(opened) == {"none"}


def test_what_is_checked_packet_by_packet_is_not_decoded_while_a_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg decodes frames as it opens a file: a JPEG of thousands of scans, AV1 packets of hundreds of frames."""
    path = motion_jpeg(tmp_path / "clip.avi", [jpeg(160, 120)] * 3, 160, 120)
    allowed: set[str] = set()
    real = av.open

    def watched(*args: Any, options: dict[str, str], **rest: Any) -> Any:
        allowed.update(options["codec_whitelist"].split(","))
        return real(*args, options=options, **rest)

    monkeypatch.setattr(video.av, "open", watched)
    assert len(list(read_frames(path))) == 3
    assert "h264" in allowed
    assert allowed.isdisjoint({"mjpeg", "av1", "libdav1d"})


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx265", "mkv"), ("mpeg2video", "ts")])
def test_an_honest_number_of_slices_is_read(codec: str, suffix: str, tmp_path: Path) -> None:
    assert len(list(read_frames(many_slices(tmp_path / f"clip.{suffix}", codec, 0)))) == 5


def test_slices_are_counted_behind_lengths_and_start_codes() -> None:
    record = b"\x01\x64\x00\x28\xff"  # lengths of 4 bytes
    by_length, by_code = b"\0\0\0\x02\x41\xff", b"\0\0\x01\x41\xff"
    for codec, unit, extradata in (("h264", by_length, record), ("h264", by_code, None), ("h264", by_code, record)):
        assert not too_many_slices(codec, unit * MAX_SLICES, extradata)
        assert too_many_slices(codec, unit * (MAX_SLICES + 1), extradata)
    hevc = b"\x01" + bytes(20) + b"\x01"  # lengths of 2 bytes
    assert too_many_slices("hevc", b"\0\x02\x02\xff" * (MAX_SLICES + 1), hevc)
    assert not too_many_slices("h264", b"\0\0\0\x02\x06\xff" * 5000, record)  # SEI
    assert not too_many_slices("rawvideo", bytes(100_000))
    assert not too_many_slices("mpeg4", bytes(100_000))  # padding
    assert too_many_slices("mpeg4", b"\0\0\x80" * 5000)


def test_reading_can_be_stopped_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_checked_stream", lambda *_: pytest.fail("opened with a decoder"))
    path = many_slices(tmp_path / "clip.mkv", "libx264", 0)
    packets = 0

    def stop() -> None:
        nonlocal packets
        packets += 1
        if packets > 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        list(read_frames(path, on_packet=stop))
    assert packets == 4


def test_a_format_without_a_decoder_is_refused_by_name(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", at_rate(25, 5), codec="libvpx")
    path.write_bytes(path.read_bytes().replace(b"V_VP8", b"V_XYZ"))
    with pytest.raises(InvalidVideo) as refused:
        list(read_frames(path))
    assert refused.value.code == "undecodable"
