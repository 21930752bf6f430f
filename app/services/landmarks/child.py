"""The landmark process: MediaPipe graphs in a thread for each track, until the service closes its socket or ends.

Started by `LandmarkProcess` with the number of graphs to keep and the descriptor of its socket, over which the sockets
of new tracks come.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import socket
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np

from app.core.memory import giving_memory_back
from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    LandmarkTrack,
)
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.landmarks.native_log import chatter_filtered
from app.services.landmarks.wire import DEPTH, REQUEST, Answer, send_answer

#: Added to the badness by which Linux chooses a process to kill when memory runs out: this one before the service.
OOM_SCORE = 500


def main(size: int, control: socket.socket) -> None:
    """Serve until the other end of `control` is closed."""
    # A filter in this process cannot pass on what a crash writes, so the stacks of a crash go around it.
    with os.fdopen(os.dup(2), "wb", buffering=0) as stderr, chatter_filtered(), giving_memory_back():
        faulthandler.enable(stderr)
        _serve_all(size, control)


def _serve_all(size: int, control: socket.socket) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the service ends first, with the sentences of its live sessions
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    engine = MediaPipeEngine(size)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            os._exit(0)  # without waiting for threads that are in native code
        track = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_serve, args=(engine, track), daemon=True).start()


def _serve(engine: LandmarkEngine, client: socket.socket) -> None:
    """One track, from its opening to the closing of its socket."""
    # Whatever the client has gone from in the middle is its own business.
    with client, contextlib.suppress(EOFError, OSError):
        try:
            with closing(engine.open()) as track:
                send_answer(client, Answer.LANDMARKS)
                _find_landmarks(track, client)
        except LandmarksUnavailable as problem:
            send_answer(client, Answer.UNAVAILABLE, str(problem).encode())
        except (ExtractionFailed, InvalidImage) as problem:
            send_answer(client, Answer.FAILED, str(problem).encode())


def _find_landmarks(track: LandmarkTrack, client: socket.socket) -> None:
    memory: mmap.mmap | None = None
    while True:
        while track.pending and (track.pending >= DEPTH or not _something_came(client)):
            send_answer(client, Answer.LANDMARKS, track.receive().tobytes())
        data, descriptors, _, _ = socket.recv_fds(client, REQUEST.size, 1)
        if len(data) < REQUEST.size:
            return
        offset, height, width, new_size = REQUEST.unpack(data)
        if new_size:
            memory = mmap.mmap(descriptors[0], new_size)
            os.close(descriptors[0])
        if memory is None:
            return
        track.send(np.frombuffer(memory, np.uint8, height * width * 3, offset).reshape(height, width, 3))


def _something_came(client: socket.socket) -> bool:
    try:
        client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
