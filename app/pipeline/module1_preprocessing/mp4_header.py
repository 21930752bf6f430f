"""The duration that an MP4 or MOV file claims in its movie header, which FFmpeg replaces by its own sum."""

from __future__ import annotations

import struct
from typing import BinaryIO

#: Boxes searched before giving up: real files have fewer than ten at the top level.
_MAX_BOXES = 1000


def claimed_duration_s(file: BinaryIO) -> float | None:
    """Seconds from `mvhd` (ISO 14496-12, 8.2.2), wherever in the file it stands; None without a readable one."""
    found = _find(file, b"moov", 0, None)
    header = _find(file, b"mvhd", *found) if found else None
    if header is None:
        return None
    file.seek(header[0])
    content = file.read(32)
    if len(content) < 32:
        return None
    # version 0: two 32-bit times, 32-bit time scale and duration; version 1: 64-bit times and duration
    scale, duration = struct.unpack_from(">IQ" if content[0] == 1 else ">II", content, 20 if content[0] == 1 else 12)
    unknown = duration == (2**64 - 1 if content[0] == 1 else 2**32 - 1)
    return None if unknown or scale == 0 else duration / scale


def _find(file: BinaryIO, name: bytes, start: int, end: int | None) -> tuple[int, int] | None:
    """(start, end) of the content of the first box called `name` between two places of the file."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or (end is not None and start + 8 > end):
            return None
        size, head_size = struct.unpack(">I", head[:4])[0], 8
        if size == 1 and len(head) == 16:  # a 64-bit size follows the name
            size, head_size = struct.unpack(">Q", head[8:])[0], 16
        elif size == 0:  # to the end of the file
            size = file.seek(0, 2) - start
        if size < head_size or size > 2**62:
            return None
        if head[4:8] == name:
            return start + head_size, start + size
        start += size
    return None
