"""What the service and its landmark process say to each other over the socket of a track.

The service sends one request for each image; its pixels lie in memory that both have mapped. The process answers the
opening of the track and each image, in order.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import NUM_KEYPOINTS

#: Images of one track that may be in flight.
DEPTH = 3
#: Offset of the pixels in the shared memory, height, width, and the size of a new shared memory (0: as before), whose
#: descriptor comes with the request.
REQUEST = struct.Struct("<QIIQ")
#: How the request was answered, and the length of what follows.
ANSWER = struct.Struct("<BI")


class Answer(IntEnum):
    """Kinds of answers."""

    LANDMARKS = 0
    """float32 (75, 3) of one image; empty for the opening of the track."""
    FAILED = 1
    """ExtractionFailed, with its message."""
    UNAVAILABLE = 2
    """LandmarksUnavailable, with its message."""


def send_answer(to: socket.socket, kind: Answer, body: bytes = b"") -> None:
    to.sendall(ANSWER.pack(kind, len(body)) + body)


def receive_answer(source: socket.socket) -> tuple[Answer, bytes]:
    """Waits for the next answer. Raises EOFError, OSError."""
    kind, length = ANSWER.unpack(_exactly(source, ANSWER.size))
    return Answer(kind), _exactly(source, length)


def landmarks_of(body: bytes) -> NDArray[np.float32]:
    """float32 (75, 3), writable."""
    return np.frombuffer(body, np.float32).reshape(NUM_KEYPOINTS, 3).copy()


def _exactly(source: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        if not (more := source.recv(length - len(data))):
            raise EOFError
        data += more
    return bytes(data)
