"""The landmark engine as the service sees it: tracks in a child process, which is started again when it ends.

MediaPipe and the images that people send meet in native code. If that crashes or never returns, the child process is
what ends: its tracks are lost, the service and its live sessions go on with new ones. Images go to it through shared
memory, so a track costs about as much as one in the service (RESULTS.md, "Landmarks in a process of their own").
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.image_limits import check_dimensions
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    TrackLost,
)
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.services.landmarks.wire import DEPTH, REQUEST, Answer, landmarks_of, receive_answer

#: Seconds in which the process must answer: an image takes 50 ms, and MediaPipe itself gives up after 60 s.
STALLED_S = 90.0
#: Seconds that it has to exit before it is killed.
EXIT_S = 5.0


def landmark_engine(size: int) -> LandmarkEngine:
    """The engine of the service, for `size` streams at once: in a process of its own where the system can hand
    descriptors to one."""
    return LandmarkProcess(size) if hasattr(socket, "send_fds") else MediaPipeEngine(size)


class ProcessTrack:
    """A track in the landmark process. See LandmarkTrack; raises TrackLost when the process ends."""

    depth = DEPTH

    def __init__(self, answers: socket.socket, lost: Callable[[], None]) -> None:
        """lost: called when the process does not answer in time. Raises LandmarksUnavailable, TrackLost."""
        answers.settimeout(STALLED_S)
        self._process: socket.socket | None = answers
        self._lost = lost
        self._memory: mmap.mmap | None = None
        self._slot, self._next = 0, 0
        self.pending = 0
        try:
            self._receive()
        except (ExtractionFailed, LandmarksUnavailable):
            self.close()
            raise

    def send(self, rgb: NDArray[np.uint8]) -> None:
        check_dimensions(rgb.shape[1], rgb.shape[0])
        # A slot is written again once DEPTH more images have been sent: its image must have been read by then.
        assert self.pending <= DEPTH
        new = self._make_memory(rgb.size) if self._memory is None or rgb.size > self._slot else None
        assert self._memory is not None
        offset = self._slot * self._next
        self._next = (self._next + 1) % (DEPTH + 1)
        np.frombuffer(self._memory, np.uint8, rgb.size, offset).reshape(rgb.shape)[:] = rgb
        request = REQUEST.pack(offset, rgb.shape[0], rgb.shape[1], len(self._memory) if new is not None else 0)
        try:
            socket.send_fds(self._open, [request], [new] if new is not None else [])
        except OSError as problem:
            raise TrackLost("the landmark process ended") from problem
        finally:
            if new is not None:
                os.close(new)
        self.pending += 1

    def receive(self) -> NDArray[np.float32]:
        points = landmarks_of(self._receive())
        self.pending -= 1
        return points

    def close(self) -> None:
        process, self._process, self._memory, self.pending = self._process, None, None, 0
        if process is not None:
            process.close()

    def _make_memory(self, image_bytes: int) -> int:
        """Map memory for DEPTH + 1 images of this size; returns its descriptor, which is to be closed."""
        size = image_bytes * (DEPTH + 1)
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("glossline-images", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
        self._memory = mmap.mmap(descriptor, size)
        self._slot, self._next = image_bytes, 0
        return descriptor

    def _receive(self) -> bytes:
        try:
            kind, body = receive_answer(self._open)
        except TimeoutError as problem:
            self._lost()
            raise TrackLost("the landmark process did not answer and was ended") from problem
        except (EOFError, OSError) as problem:
            raise TrackLost("the landmark process ended") from problem
        if kind is Answer.UNAVAILABLE:
            raise LandmarksUnavailable(body.decode())
        if kind is Answer.FAILED:
            raise ExtractionFailed(body.decode())
        return body

    @property
    def _open(self) -> socket.socket:
        if self._process is None:
            raise ExtractionFailed("the stream of images has ended")
        return self._process


class LandmarkProcess:
    """Starts the process with the first track, and again with the next one when it has ended. See LandmarkEngine."""

    def __init__(self, size: int) -> None:
        """size: graphs that the process keeps for the next streams."""
        if size < 1:
            raise ValueError(f"an engine needs at least 1 graph, got {size}")
        self.size = size
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process, if one has been started."""
        return self._process.pid if self._process is not None else None

    def open(self) -> ProcessTrack:
        """Raises LandmarksUnavailable, RuntimeError after close()."""
        try:
            return self._open()
        except TrackLost:  # it is ending, because of another stream
            if (process := self._process) is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(EXIT_S)
            try:
                return self._open()
            except TrackLost as problem:
                raise LandmarksUnavailable(
                    "The landmark process ends as soon as it starts; standard error says why."
                ) from problem

    def _open(self) -> ProcessTrack:
        ours, theirs = socket.socketpair()
        try:
            with self._lock, theirs:
                process = self._running()
                assert self._control is not None
                socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
            return ProcessTrack(ours, process.kill)
        except BaseException as problem:
            ours.close()
            if isinstance(problem, OSError):
                raise TrackLost("the landmark process ended") from problem
            raise

    def warm_up(self) -> None:
        track = self.open()
        try:
            track.send(np.zeros((256, 256, 3), np.uint8))
            track.receive()
        finally:
            track.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            process, control = self._process, self._control
            self._process = self._control = None
        if process is None or control is None:
            return
        control.close()
        try:
            process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started if there is none. Called with the lock held."""
        if self._closed:
            raise RuntimeError("the landmark engine is closed")
        if self._process is not None:
            if (status := self._process.poll()) is None:
                return self._process
            logger.error("the landmark process ended with exit code {}; starting another", status)
        if self._control is not None:
            self._control.close()
        root = Path(__file__).resolve().parents[3]
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.services.landmarks.child", str(self.size), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process
