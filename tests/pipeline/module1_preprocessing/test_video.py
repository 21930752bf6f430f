from __future__ import annotations

import math
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.module1_preprocessing import video
from app.pipeline.module1_preprocessing.video import InvalidVideo, VideoLimits, probe, read_frames
from tests.pipeline.module1_preprocessing.clips import (
    at_rate,
    index_of,
    patch_box,
    write_sound,
    write_video,
)


def refusal(path: Path, limits: VideoLimits | None = None) -> str:
    """The code with which the file is refused; where its header gives it away, by `probe` as well."""
    with pytest.raises(InvalidVideo) as caught:
        list(read_frames(path, limits))
    assert len(str(caught.value)) > 20
    codes = {caught.value.code}
    try:
        probe(path, limits)
    except InvalidVideo as problem:
        codes.add(problem.code)
    (code,) = codes
    return code


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mov", "libx264"),
        ("clip.mkv", "libx264"),
        ("clip.webm", "libvpx"),
        ("clip.avi", "mpeg4"),
        ("clip.ts", "libx264"),
        ("clip.flv", "flv"),
        ("clip.mpg", "mpeg2video"),
    ],
)
def test_every_container_gives_all_frames_with_their_times(tmp_path: Path, name: str, codec: str) -> None:
    clock = 25 if name in ("clip.avi", "clip.mpg") else 1000  # these two have no times but a fixed rate
    frames = list(read_frames(write_video(tmp_path / name, at_rate(25, 12), codec=codec, clock=clock)))
    assert len(frames) >= 11  # MPEG program streams lose the last frame's tail
    assert [index_of(f.rgb) for f in frames] == list(range(len(frames)))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(len(frames)) / 25, atol=0.0011)
    assert frames[0].rgb.shape == (64, 96, 3)
    assert frames[0].rgb.dtype == np.uint8
    assert frames[0].rgb.flags.c_contiguous


def test_the_file_name_does_not_matter(tmp_path: Path) -> None:
    odd = tmp_path / "http:%2F%2Fhost%20#frag?.txt"
    write_video(tmp_path / "clip.mp4", at_rate(25, 3)).rename(odd)
    assert len(list(read_frames(odd))) == 3


def test_info(tmp_path: Path) -> None:
    info = probe(write_video(tmp_path / "clip.mp4", at_rate(25, 10)))
    assert info.fps == pytest.approx(25)
    assert info.duration_s == pytest.approx(0.4, abs=0.05)


def test_30_fps_loses_every_sixth_frame_and_keeps_true_times(tmp_path: Path) -> None:
    frames = list(read_frames(write_video(tmp_path / "clip.mp4", at_rate(30, 30)), target_fps=25))
    assert len(frames) == 25
    np.testing.assert_allclose([f.time_s * 30 for f in frames], [index_of(f.rgb) for f in frames], atol=0.02)


def test_a_jittering_25_fps_clock_loses_nothing(tmp_path: Path) -> None:
    jitter = np.random.default_rng(1).uniform(-0.015, 0.015, 40)
    times = np.arange(40) / 25 + jitter
    times -= times[0] - 0.0
    kept = list(read_frames(write_video(tmp_path / "clip.mkv", (times - times.min()).tolist())))
    assert len(kept) >= 38


@settings(max_examples=15)
@given(gaps=st.lists(st.integers(1, 400), min_size=1, max_size=25), target=st.sampled_from([5.0, 12.5, 25.0]))
def test_any_variable_rate_keeps_order_times_and_the_rate_limit(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], target: float
) -> None:
    times = np.concatenate([[0], np.cumsum(gaps)]) / 1000
    path = write_video(tmp_path_factory.mktemp("vfr") / "clip.mkv", times.tolist())
    frames = list(read_frames(path, target_fps=target))
    got = np.array([f.time_s for f in frames])
    assert (np.diff(got) > 0).all()
    np.testing.assert_allclose(got, times[[index_of(f.rgb) for f in frames]], atol=0.0011)
    slots = np.floor(got * target + 0.5 + 1e-3)
    assert (np.diff(slots) >= 1).all()
    assert {math.floor(t * target + 0.5 + 1e-3) for t in times} == set(slots.astype(int))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_undone(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 2), rotation=rotation)
    rgb = next(read_frames(path)).rgb
    height, width = rgb.shape[:2]
    assert (height, width) == ((64, 96) if rotation == 180 else (96, 64))
    corners = {0: rgb[4, 4], 90: rgb[4, -4], 180: rgb[-4, -4], 270: rgb[-4, 4]}  # where top left goes, clockwise
    assert corners[rotation][0] > 180
    assert corners[rotation][1] < 90
    assert all(corner[1] > 30 or corner is corners[rotation] for corner in corners.values())


def test_mirroring_in_the_display_matrix_is_applied(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 2))
    mirror = struct.pack(">9i", -(1 << 16), 0, 0, 0, 1 << 16, 0, 96 << 16, 0, 1 << 30)
    path.write_bytes(patch_box(path.read_bytes(), b"tkhd", 40, mirror))
    rgb = next(read_frames(path)).rgb
    assert rgb[4, -4, 0] > 180
    assert rgb[4, 4, 0] < 90


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", at_rate(25, 2), pixel_aspect=Fraction(4, 3))
    assert next(read_frames(path)).rgb.shape == (64, 128, 3)


def test_one_frame(tmp_path: Path) -> None:
    frames = list(read_frames(write_video(tmp_path / "clip.mp4", [0.0])))
    assert [f.time_s for f in frames] == [0.0]


def test_repeated_and_missing_times_become_strictly_increasing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 10))
    # Every sample lasts 0 ticks: a file whose frames all claim one moment, and no rate at all.
    data = path.read_bytes()
    at = data.index(b"stts") + 8
    entries = struct.unpack(">I", data[at : at + 4])[0]
    for entry in range(entries):
        data = data[: at + 8 + 8 * entry] + b"\0\0\0\0" + data[at + 12 + 8 * entry :]
    path.write_bytes(data)
    times = [f.time_s for f in read_frames(path, target_fps=200)]
    assert len(times) == 10
    assert (np.diff(times) > 0).all()


def test_a_truncated_recording_without_index_gives_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", at_rate(25, 100))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert 20 <= len(list(read_frames(path))) < 100


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
def test_an_index_that_reaches_past_the_end_tells_that_the_file_is_cut(tmp_path: Path, keep: float) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 100), fast_start=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    assert refusal(path) == "truncated"


def test_truncated_before_the_index(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 50))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert refusal(path) == "truncated"


def test_damaged_pictures_are_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 50), fast_start=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(3).bytes(len(data) - start)
    path.write_bytes(bytes(data))
    assert refusal(path) == "undecodable"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"%PDF-1.7\n" + b"x" * 2000, "not_a_video"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", "not_a_video"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "not_a_video"),
        (b"RIFF\x00\x10\x00\x00WAVEfmt " + b"\0" * 100, "not_a_video"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "not_a_video"),
        (b"G" * 1000, "truncated"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 200, "truncated"),
        (b"\x1aE\xdf\xa3", "truncated"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert refusal(path) in ({code, "no_video_stream"} if code == "truncated" else {code})


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    assert refusal(write_sound(tmp_path / "sound.mp4")) == "no_video_stream"


def test_a_missing_file_is_not_a_bad_video(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "nothing.mp4")


@pytest.mark.parametrize(("size", "code"), [((2, 2), "bad_dimensions"), ((14, 400), "bad_dimensions")])
def test_tiny_pictures(tmp_path: Path, size: tuple[int, int], code: str) -> None:
    assert refusal(write_video(tmp_path / "clip.mkv", [0.0], *size, codec="ffv1")) == code


def test_8000_by_8000_is_refused(tmp_path: Path) -> None:
    assert refusal(write_video(tmp_path / "clip.mkv", [0.0], 8000, 8000, codec="mpeg4")) == "bad_dimensions"


@pytest.mark.parametrize(("width", "height"), [(8200, 1000), (1200, 100)])
def test_a_size_that_is_not_taken_is_refused_from_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    path = write_video(tmp_path / "clip.mkv", [0.0], width, height, codec="ffv1")
    monkeypatch.setattr(video, "_decoded", lambda *_: pytest.fail("decoded"))
    assert refusal(path) == "bad_dimensions"


def test_the_pixel_limit_also_binds_a_stream_that_contradicts_its_header(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 3), 640, 480)
    sizes = patch_box(path.read_bytes(), b"avc1", 24, struct.pack(">HH", 64, 48))
    path.write_bytes(sizes)
    assert refusal(path, replace(VideoLimits(), max_pixels=200 * 200)) in ("bad_dimensions", "undecodable")


def test_ten_hours_in_the_header_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 5))
    ten_hours = struct.pack(">I", 36_000 * 1000)  # this muxer's movie clock has 1000 ticks a second
    path.write_bytes(patch_box(path.read_bytes(), b"mvhd", 16, ten_hours))
    with pytest.raises(InvalidVideo, match="36000"):
        probe(path)
    assert refusal(path) == "too_long"


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_two_frames_ten_hours_apart_are_refused(tmp_path: Path, name: str) -> None:
    assert refusal(write_video(tmp_path / name, [0.0, 36_000.0])) == "too_long"


def test_limits_hold_while_decoding_where_the_header_is_silent(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", at_rate(25, 60))
    with pytest.raises(InvalidVideo) as caught:
        list(read_frames(path, VideoLimits(max_frames=50)))
    assert caught.value.code == "too_long"


def test_header_limits(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 30))
    assert refusal(path, VideoLimits(max_bytes=100)) == "too_large"
    assert refusal(path, VideoLimits(max_frames=29)) == "too_long"
    assert refusal(path, VideoLimits(max_duration_s=1.0)) == "too_long"
    assert refusal(path, VideoLimits(max_fps=20)) == "bad_rate"
    assert refusal(path, VideoLimits(max_streams=0)) == "too_large"
    assert len(list(read_frames(path, VideoLimits(max_frames=30, max_fps=25.1)))) == 30


def test_the_file_is_closed_when_reading_stops_early(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 10))
    frames = read_frames(path)
    next(frames)
    open_before = _open_files(path)
    frames.close()  # type: ignore[attr-defined]
    assert (open_before, _open_files(path)) == (1, 0)


def _open_files(path: Path) -> int:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("open files are counted in /proc, which this system does not have")
    return sum(link.resolve() == path.resolve() for link in descriptors.iterdir())


def test_pixels_of_all_frames_together_are_limited(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", at_rate(25, 30), 160, 120)
    assert refusal(path, VideoLimits(max_total_pixels=29 * 160 * 120)) == "too_expensive"
    assert len(list(read_frames(path, VideoLimits(max_total_pixels=30 * 160 * 120)))) == 30
    silent = write_video(tmp_path / "clip.mkv", at_rate(25, 30), 160, 120)
    data = silent.read_bytes()
    at = data.index(b"\x44\x89\x88")  # Duration, the only number of its kind in the header, becomes Void
    silent.write_bytes(data[:at] + b"\xec\x89" + data[at + 2 :])
    assert probe(silent).duration_s is None
    assert len(list(read_frames(silent))) == 30
    with pytest.raises(InvalidVideo) as caught:
        list(read_frames(silent, VideoLimits(max_total_pixels=20 * 160 * 120)))
    assert caught.value.code == "too_expensive"
