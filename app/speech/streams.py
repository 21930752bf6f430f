"""Sound that arrives in pieces, to samples: PCM of 16 bits, or WebM and Ogg with Opus as browsers record them."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable

import av
import numpy as np
from av.audio.resampler import AudioResampler

from app.speech.audio import from_int16
from app.speech.engines import SAMPLE_RATE, Samples

#: Pieces that may wait for the decoder.
WAITING = 256


class PcmStream:
    """16-bit little-endian mono at any rate."""

    def __init__(self, rate: int) -> None:
        self._rate, self._odd = rate, b""
        self._resampler = None if rate == SAMPLE_RATE else AudioResampler("flt", "mono", SAMPLE_RATE)

    def add(self, data: bytes) -> Samples:
        data = self._odd + data
        even = len(data) - len(data) % 2
        self._odd = data[even:]
        samples = from_int16(data[:even])
        if self._resampler is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        done = [piece.to_ndarray().reshape(-1) for piece in self._resampler.resample(frame)]
        return np.concatenate(done).astype(np.float32) if done else np.zeros(0, np.float32)

    def close(self) -> None:
        pass


class _Pipe(io.RawIOBase):
    """What the demuxer reads: blocks until more has come."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest and not self._ended:
            piece = self.pieces.get()
            if piece is None:
                self._ended = True
            else:
                self._rest = piece
        done, self._rest = self._rest[:size], self._rest[size:]
        return done


class ContainerStream:
    """WebM or Ogg: a thread demuxes and decodes as pieces come."""

    def __init__(self, on_samples: Callable[[Samples], None], on_end: Callable[[bool], None]) -> None:
        """on_samples, on_end: called by that thread; the latter with whether the stream could be read."""
        self._pipe = _Pipe()
        self._on_samples, self._on_end = on_samples, on_end
        self._thread = threading.Thread(target=self._decode, name="speech-container", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> bool:
        """False: too much waits for the decoder; this piece is lost."""
        try:
            self._pipe.pieces.put_nowait(data)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """No more will come; the thread decodes what has, and ends."""
        while True:
            try:
                self._pipe.pieces.put_nowait(None)
            except queue.Full:
                self._pipe.pieces.get()
            else:
                return

    def _decode(self) -> None:
        well = False
        try:
            options = {"format_whitelist": "matroska,webm,ogg", "probesize": "4096", "analyzeduration": "0"}
            with av.open(self._pipe, "r", options=options, buffer_size=4096) as container:
                if container.streams.audio:
                    resampler = AudioResampler("flt", "mono", SAMPLE_RATE)
                    for frame in container.decode(audio=0):
                        frame.pts = None
                        for done in resampler.resample(frame):
                            self._on_samples(done.to_ndarray().reshape(-1).astype(np.float32))
                    well = True
        except (av.error.FFmpegError, ValueError):
            pass
        finally:
            self._on_end(well)
