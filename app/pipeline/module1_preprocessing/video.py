"""A video file as RGB frames with true capture times; unsupported or unsafe files are refused with a named error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.image_limits import MAX_PIXELS, check_dimensions
from app.pipeline.module1_preprocessing.invalid import InvalidImage, InvalidVideo
from app.pipeline.module1_preprocessing.jpeg_scans import MAX_SCANS
from app.pipeline.module1_preprocessing.layout import Layout
from app.pipeline.module1_preprocessing.mp4_header import claimed_duration_s
from app.pipeline.module1_preprocessing.packet_cost import (
    MAX_AV1_FRAMES,
    count_scans,
    too_many_av1_frames,
    too_many_slices,
)

#: Only decoders that cameras, browsers and editors really use; FFmpeg has hundreds more that are hardly tested.
DECODERS = frozenset(
    {"h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "msmpeg4v3", "mpeg1video"}
    | {"mpeg2video", "h263", "flv", "mjpeg", "prores", "theora", "ffv1", "rawvideo", "gif"}
)
#: Called before each packet of a video; what it raises ends the reading.
OnPacket = Callable[[], object]
_MOTION_JPEG = "mjpeg"
_AV1 = frozenset({"av1", "libdav1d"})
#: Demuxers by the first bytes of a file.
_STARTS: dict[bytes | tuple[bytes, ...], str] = {
    b"\x1aE\xdf\xa3": "matroska",
    b"FLV\x01": "flv",
    b"OggS": "ogg",
    (b"GIF87a", b"GIF89a"): "gif",
    b"\0\0\x01\xba": "mpeg",
}
#: Used when a file states neither times nor a rate.
FALLBACK_FPS = 25.0
#: Frames up to this fraction of a slot before its edge still count as on time (rounding of container clocks).
_SLOT_SLACK = 1e-3


@dataclass(frozen=True)
class VideoLimits:
    """What is accepted. Header values are checked before anything is decoded, real ones while decoding."""

    max_bytes: int = 200 * 1024 * 1024
    max_pixels: int = MAX_PIXELS
    """Of one frame."""
    max_total_pixels: int = 6000 * 1920 * 1080
    """Of all frames together: 120 s of 1080p at 50 frames per second, or 50 s of 4K at 30."""
    max_duration_s: float = 120.0
    max_frames: int = 6000
    max_fps: float = 240.0
    max_streams: int = 8


@dataclass(frozen=True)
class VideoInfo:
    """What the header says. None where the container does not state it (browser recordings)."""

    fps: float | None
    """Claimed frames per second."""
    duration_s: float | None
    """Claimed seconds."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame."""

    rgb: NDArray[np.uint8]
    """(H, W, 3), upright."""
    time_s: float
    """Seconds since the first frame of the file."""


def probe(path: str | os.PathLike[str], limits: VideoLimits | None = None) -> VideoInfo:
    """Header checks, without decoding anything. Raises InvalidVideo, OSError."""
    with _opened(Path(path), limits or VideoLimits()) as (container, stream):
        fps = float(stream.average_rate) if stream.average_rate else None
        return VideoInfo(fps, _declared_duration(container, stream))


def read_frames(
    path: str | os.PathLike[str],
    limits: VideoLimits | None = None,
    target_fps: float = FALLBACK_FPS,
    on_packet: OnPacket = lambda: None,
) -> Iterator[Frame]:
    """Frames of a video file, at most one for each 1/target_fps slot, in order of strictly increasing time.

    Slots are centred on the multiples of 1/target_fps and the first frame of a slot is taken with its own time, so a
    30 fps file loses every sixth frame and a jittering 25 fps file loses none. A variable frame rate needs nothing
    more. All frames have one shape: that of the first, upright, with square pixels. A truncated Matroska or AVI file
    gives what can be decoded, an MP4 is refused. One frame is held in memory at a time. on_packet: called
    before each packet, whether it holds a picture or not.

    Raises (on iteration) InvalidVideo, what on_packet raises; OSError when the file cannot be read.
    """
    limits = limits or VideoLimits()
    with _opened(Path(path), limits, on_packet) as (container, stream):
        clock = _Clock(stream)
        layout: Layout | None = None
        last_slot = -1
        pixels = 0
        for count, picture in enumerate(_decoded(container, stream, limits, on_packet), start=1):
            pixels += picture.width * picture.height
            if pixels > limits.max_total_pixels:
                raise _too_many_pixels(f"has {pixels} pixels in its first {count} frames", limits)
            if count > limits.max_frames:
                raise _too_long(f"has more than {limits.max_frames} frames", limits)
            time_s = clock.read(picture)
            if time_s > limits.max_duration_s:
                raise _too_long(f"is longer than {limits.max_duration_s:g} s", limits)
            slot = int(time_s * target_fps + 0.5 + _SLOT_SLACK)
            if slot <= last_slot:
                continue
            last_slot = slot
            if layout is None:
                layout = Layout.of(picture, stream.sample_aspect_ratio)
                height, width = layout.shape
                _check_size(width, height, limits)
            yield Frame(layout.upright(picture), time_s)
        if layout is None:
            raise InvalidVideo(
                "undecodable",
                f"the file is a video ({stream.codec_context.name}) but none of its frames can be decoded: it is "
                "truncated before the first whole frame, damaged, or its frames have more than "
                f"{limits.max_pixels} pixels",
            )


class _Clock:
    """Presentation times made seconds from the first frame; missing, repeated and backward ones are repaired."""

    def __init__(self, stream: VideoStream) -> None:
        rate = float(stream.average_rate or 0)
        self._period = 1 / rate if 1 <= rate <= 240 else 1 / FALLBACK_FPS
        self._origin: float | None = None
        self._last = -self._period

    def read(self, picture: VideoFrame) -> float:
        stated = None if picture.pts is None or picture.time_base is None else float(picture.pts * picture.time_base)
        if self._origin is None:
            self._origin = stated
        time_s = self._last + self._period
        if stated is not None and self._origin is not None and stated - self._origin > self._last:
            time_s = stated - self._origin
        self._last = max(time_s, 0.0)
        return self._last


@contextmanager
def _opened(
    path: Path, limits: VideoLimits, on_packet: OnPacket = lambda: None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    size = path.stat().st_size
    if size == 0:
        raise InvalidVideo("empty", "the file is empty; send a video of at least one frame")
    if size > limits.max_bytes:
        raise InvalidVideo("too_large", f"the file has {size} bytes, the limit is {limits.max_bytes}")
    with path.open("rb") as file:
        container_format = _sniff(file.read(1024))
        claimed = claimed_duration_s(file) if container_format == "mp4" else None
    if claimed is not None and claimed > limits.max_duration_s:
        raise _too_long(f"declares {claimed:.1f} s", limits)
    options = {
        # A container must never open another file or a host; the pixel limit also applies to headers inside the stream.
        "protocol_whitelist": "file",
        # FFmpeg decodes frames while it opens a file, before this module has seen a packet: those whose packets are
        # checked wait for that.
        "codec_whitelist": ",".join(sorted(DECODERS - {_MOTION_JPEG} - _AV1)),
        "max_pixels": str(limits.max_pixels),
    }
    _check_slices(path, container_format, options, on_packet)
    try:
        container = _open(path, container_format, options)
    except av.FFmpegError as error:
        raise InvalidVideo(
            "truncated",
            f"the file starts like a video ({container_format}) but cannot be opened ({error.strerror}): it is "
            "truncated or damaged; send the whole file again",
        ) from error
    with container:
        stream = _checked_stream(container, limits)
        if container_format == "mp4":
            _check_whole(stream, size)
        yield container, stream


def _open(path: Path, container_format: str, options: dict[str, str]) -> InputContainer:
    # The prefix keeps a file name that looks like a URL from being read as one.
    return av.open(
        f"file:{path.resolve()}", mode="r", format=container_format, options=options, metadata_errors="replace"
    )


def _check_slices(path: Path, container_format: str, options: dict[str, str], on_packet: OnPacket) -> None:
    """Read all packets of all pictures without a decoder: once a file is opened with one, it has decoded some."""
    undecoded = {**options, "codec_whitelist": "none"}
    # A file that cannot be opened or read is named by what comes next.
    with suppress(av.FFmpegError), _open(path, container_format, undecoded) as container:
        extradata: dict[int, bytes] = {}  # where a packet has changed it
        for packet in container.demux(*container.streams.video) if container.streams.video else ():
            on_packet()
            context = packet.stream.codec_context
            if context is None:  # there is no decoder, so the packet costs nothing
                continue
            if packet.has_sidedata("new_extradata"):
                extradata[packet.stream_index] = bytes(packet.get_sidedata("new_extradata"))
            if too_many_slices(context.name, bytes(packet), extradata.get(packet.stream_index, context.extradata)):
                raise InvalidVideo(
                    "too_expensive",
                    "the video holds a picture of more slices than encoders write; convert it (ffmpeg -i in.mp4 "
                    "out.mp4)",
                )


def _sniff(head: bytes) -> str:
    """The FFmpeg demuxer for the first bytes of a file: never a playlist, an image pattern or a script."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
        return "mp4"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for start, demuxer in _STARTS.items():
        if head.startswith(start):
            return demuxer
    for first, packet in ((0, 188), (4, 192)):  # plain and time-stamped (camcorder) transport streams
        syncs = head[first : first + 3 * packet : packet]
        if len(head) >= first + 2 * packet and set(syncs) == {0x47}:
            return "mpegts"
    raise InvalidVideo(
        "not_a_video",
        "the file's content is not a video: send MP4 or MOV, WebM or Matroska, AVI, MPEG, MPEG-TS, FLV, Ogg or GIF",
    )


def _checked_stream(container: InputContainer, limits: VideoLimits) -> VideoStream:
    if len(container.streams) > limits.max_streams:
        raise InvalidVideo(
            "too_large", f"the file has {len(container.streams)} streams, the limit is {limits.max_streams}"
        )
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise InvalidVideo("no_video_stream", "the file has no video stream (sound or a cover image only)")
    stream = streams[0]
    context = stream.codec_context
    if context is None or context.name not in DECODERS:
        raise InvalidVideo(
            "undecodable",
            f"video coded as {context.name if context else 'an unknown format'} is not supported; "
            "send H.264, H.265, VP8, VP9 or AV1",
        )
    if context.width or context.height:  # an unreadable start of the stream leaves both 0; decoding checks it
        _check_size(context.width, context.height, limits)
    duration = _declared_duration(container, stream)
    if duration is not None and duration > limits.max_duration_s:
        raise _too_long(f"declares {duration:.1f} s", limits)
    if stream.frames > limits.max_frames:
        raise _too_long(f"declares {stream.frames} frames", limits)
    rate = float(stream.average_rate or 0)
    declared = stream.frames or int(rate * (duration or 0) if rate <= limits.max_fps else 0)
    if declared * context.width * context.height > limits.max_total_pixels:
        raise _too_many_pixels(f"declares {declared} frames of {context.width}x{context.height} pixels", limits)
    # Matroska and FLV store no rate of their own; what FFmpeg guesses from a millisecond clock may be 1000.
    if rate > limits.max_fps and container.format.name not in ("matroska,webm", "flv"):
        raise InvalidVideo("bad_rate", f"{rate:g} frames per second are declared, the limit is {limits.max_fps:g}")
    context.thread_type = "AUTO"
    context.thread_count = min(4, os.cpu_count() or 1)
    return stream


def _check_whole(stream: VideoStream, size: int) -> None:
    """An MP4 with its index in front shows before any decoding that its frames extend past the end of the file."""
    needed = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if needed > size:
        raise InvalidVideo(
            "truncated",
            f"the file is truncated: its frames extend to byte {needed}, but it has {size}; send the whole file again",
        )


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    try:
        check_dimensions(width, height, max_pixels=limits.max_pixels)
    except InvalidImage as problem:
        raise InvalidVideo(problem.code, str(problem)) from None


def _declared_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """The longest duration the header claims, seconds."""
    claims = []
    if container.duration is not None:
        claims.append(container.duration / av.time_base)
    if stream.duration is not None and stream.time_base is not None:
        claims.append(float(stream.duration * stream.time_base))
    return max((c for c in claims if c > 0), default=None)


def _too_long(what: str, limits: VideoLimits) -> InvalidVideo:
    return InvalidVideo(
        "too_long",
        f"the video {what}; the limit is {limits.max_duration_s:g} s and {limits.max_frames} frames: send a part",
    )


def _too_many_pixels(what: str, limits: VideoLimits) -> InvalidVideo:
    return InvalidVideo(
        "too_expensive",
        f"the video {what}; at most {limits.max_total_pixels} pixels are read of one clip: send a smaller or shorter "
        "one (ffmpeg -i in.mp4 -vf scale=-2:1080 out.mp4)",
    )


def _decoded(
    container: InputContainer, stream: VideoStream, limits: VideoLimits, on_packet: OnPacket
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded. A damaged packet loses its own frames; a truncated file ends early."""
    packets = container.demux(stream)
    context = stream.codec_context
    pixels = 0  # of all packets: those of hidden frames cost as much as others
    while True:
        on_packet()
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        if pixels > limits.max_total_pixels:
            raise _too_many_pixels(f"codes {pixels} pixels, hidden frames included", limits)
        _check_packet(context.name, packet)
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            continue
        finally:
            pixels += context.width * context.height
        for picture in pictures:
            if isinstance(picture, VideoFrame):
                yield picture


def _check_packet(codec: str, packet: Packet) -> None:
    """What one call of the decoder may cost, for the codecs that set it no limit."""
    if codec == _MOTION_JPEG and count_scans(bytes(packet)) > MAX_SCANS:
        raise InvalidVideo(
            "too_expensive", f"the video contains a JPEG image of more than {MAX_SCANS} scans; send H.264 instead"
        )
    if codec in _AV1 and too_many_av1_frames(bytes(packet)):
        raise InvalidVideo(
            "too_expensive", f"the video holds a packet of more than {MAX_AV1_FRAMES} AV1 frames; send H.264 instead"
        )
