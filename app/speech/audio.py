"""Audio files to samples, and samples to files: PyAV, with bounds on everything that a file can claim."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from app.speech.engines import SAMPLE_RATE, Samples, Sound

#: Samples per second that a file may have.
MIN_RATE, MAX_RATE = 4_000, 192_000
MAX_CHANNELS, MAX_STREAMS = 8, 16
#: Packets without a sample before a file is given up.
_MAX_EMPTY = 2_000
#: Containers that are opened; anything else is refused, in particular playlists, which name other files.
_CONTAINERS = "wav,w64,mp3,ogg,matroska,webm,mov,mp4,m4a,flac,aac,aiff"

Format = Literal["wav", "ogg", "mp3", "flac", "aac", "pcm"]
MEDIA_TYPES: dict[Format, str] = {
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "pcm": "audio/pcm",
}
#: Container, codec, and samples per second (0: as they come) of the formats that FFmpeg writes.
_WRITTEN: dict[Format, tuple[str, str, int]] = {
    "ogg": ("ogg", "libopus", 48_000),
    "mp3": ("mp3", "libmp3lame", 0),
    "flac": ("flac", "flac", 0),
    "aac": ("adts", "aac", 0),
}
#: Samples per second of "pcm", as other servers have it: 16-bit mono without a header.
PCM_RATE = 24_000

Refusal = Literal["not_audio", "bad_audio", "no_audio", "too_long", "truncated"]


class InvalidAudio(ValueError):
    """The file cannot be used; the message says why and what to do."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold."""

    seconds: float


def decode(source: Path | bytes, limits: Limits) -> Samples:
    """Mono samples at SAMPLE_RATE of an audio file, or of the sound of a video. Raises InvalidAudio."""
    return np.concatenate(list(pieces(source, limits)))


def pieces(source: Path | bytes, limits: Limits) -> Iterator[Samples]:
    """As `decode`, as they are decoded. Raises InvalidAudio."""
    opened = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        with av.open(opened, "r", options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}) as container:
            yield from _of_container(container, limits)
    except av.error.InvalidDataError:
        raise _not_audio() from None
    except (av.error.FFmpegError, ValueError) as problem:
        if isinstance(problem, InvalidAudio):
            raise
        raise _not_audio() from problem


def _not_audio() -> InvalidAudio:
    return InvalidAudio("not_audio", "The content is no audio file. Send WAV, MP3, Ogg, WebM, M4A or FLAC.")


def _of_container(container: av.container.InputContainer, limits: Limits) -> Iterator[Samples]:
    if len(container.streams) > MAX_STREAMS:
        raise InvalidAudio("bad_audio", f"The file has {len(container.streams)} streams; the limit is {MAX_STREAMS}.")
    if not container.streams.audio:
        raise InvalidAudio("no_audio", "The file has no audio track.")
    stream = container.streams.audio[0]
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidAudio(
            "bad_audio", f"The audio has {rate} samples a second; {MIN_RATE} to {MAX_RATE} can be read. Convert it."
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise InvalidAudio("bad_audio", f"The audio has {channels} channels; 1 to {MAX_CHANNELS} can be read.")
    claimed = _claimed_s(container, stream)
    if claimed is not None and claimed > limits.seconds + 1:
        raise _too_long(claimed, limits)
    resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    left = int(limits.seconds * SAMPLE_RATE)
    empty, any_sound, errors = 0, False, 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # of a damaged file, what can be read is
            errors += 1
            frames = []
        empty = 0 if frames else empty + 1
        if empty > _MAX_EMPTY:
            break
        for samples in _resampled(resampler, frames, rate):
            left -= len(samples)
            if left < 0:
                raise _too_long(None, limits)
            any_sound = True
            yield samples
    for samples in _resampled(resampler, [None], rate) if any_sound else ():
        yield samples
    if not any_sound:
        what = "could be decoded" if errors else "is in the file: the recording or the upload was cut short"
        raise InvalidAudio("truncated", f"No sound {what}. Send the whole file, or convert it to WAV.")


def _resampled(resampler: AudioResampler, frames: Iterable[AudioFrame | None], rate: int) -> Iterator[Samples]:
    for frame in frames:
        if frame is not None:
            if frame.sample_rate != rate:
                raise InvalidAudio("bad_audio", "The audio changes its sample rate. Convert it to WAV.")
            frame.pts = None  # times of the samples are counted, whatever the file says
        for done in resampler.resample(frame):
            samples = np.ascontiguousarray(done.to_ndarray().reshape(-1), np.float32)
            yield np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)


def _claimed_s(container: av.container.InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _too_long(seconds: float | None, limits: Limits) -> InvalidAudio:
    lasts = f"lasts {seconds:.0f} s" if seconds is not None else "is longer"
    return InvalidAudio("too_long", f"The audio {lasts}; the limit is {limits.seconds:g} s. Split it.")


# -- to files ----------------------------------------------------------------------------------------------------------


def encoded(sounds: Iterable[Sound], form: Format) -> Iterator[bytes]:
    """The bytes of a file, piece by piece as the sound comes. The header of a streamed WAV names the largest length
    there is, as is usual for streams; "pcm" has none."""
    if form == "wav":
        return _wav(sounds)
    return _pcm(sounds) if form == "pcm" else _written(sounds, *_WRITTEN[form])


def _wav(sounds: Iterable[Sound]) -> Iterator[bytes]:
    first = True
    for sound in sounds:
        if first:
            yield wav_header(sound.rate)
            first = False
        yield sound.samples.astype("<i2").tobytes()


def wav_header(rate: int, samples: int | None = None) -> bytes:
    """Of 16-bit mono audio; samples None: of a stream whose length is not known."""
    size = 0xFFFFFFFF - 36 if samples is None else 2 * samples
    field = np.array([size + 36, 16, rate, 2 * rate, size], "<u4")
    shape = np.array([1, 1, 2, 16], "<u2").tobytes()
    return (
        b"RIFF" + field[0].tobytes() + b"WAVEfmt " + field[1].tobytes() + shape[:4]
        + field[2].tobytes() + field[3].tobytes() + shape[4:] + b"data" + field[4].tobytes()
    )  # fmt: skip


def whole_wav(sounds: Iterable[Sound]) -> bytes:
    """A WAV file whose header has its length."""
    found = list(sounds)
    samples = np.concatenate([sound.samples for sound in found])
    return wav_header(found[0].rate, len(samples)) + samples.astype("<i2").tobytes()


class _Growing(io.RawIOBase):
    """A file that hands out what was written since it was asked last."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pending += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._pending)
        self._pending.clear()
        return data


def _pcm(sounds: Iterable[Sound]) -> Iterator[bytes]:
    resampler = AudioResampler(format="s16", layout="mono", rate=PCM_RATE)
    for frame in chain(_frames(sounds), [None]):
        for done in resampler.resample(frame):
            yield done.to_ndarray().reshape(-1).astype("<i2").tobytes()


def _frames(sounds: Iterable[Sound]) -> Iterator[AudioFrame]:
    place = 0
    for sound in sounds:
        frame = AudioFrame.from_ndarray(sound.samples.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, place, Fraction(1, sound.rate)
        place += len(sound.samples)
        yield frame


def _written(sounds: Iterable[Sound], kind: str, codec: str, rate: int) -> Iterator[bytes]:
    target, frames = _Growing(), _frames(sounds)
    first = next(frames)
    # Ogg: pages of 0.1 s, so that a listener hears the beginning at once.
    options = {"page_duration": "100000"} if kind == "ogg" else {}
    with av.open(target, "w", format=kind, options=options) as container:
        stream = cast(AudioStream, container.add_stream(codec, rate=rate or first.sample_rate, layout="mono"))
        if kind == "ogg":
            stream.bit_rate = 32_000
        for frame in chain([first], frames):
            for packet in stream.encode(frame):
                container.mux(packet)
            if piece := target.take():
                yield piece
        for packet in stream.encode(None):
            container.mux(packet)
    if piece := target.take():
        yield piece


def to_int16(samples: Samples) -> NDArray[np.int16]:
    return (samples * 32767.0).round().astype(np.int16)


def from_int16(data: bytes) -> Samples:
    """Samples of little-endian 16-bit mono audio."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0
