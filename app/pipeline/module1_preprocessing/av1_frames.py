"""How many frames one AV1 packet holds, read from its bytes: a few kilobytes can hold gigabytes of pictures.

A packet is to hold one shown frame and the hidden ones that it refers to. A decoder takes any number, a frame that
repeats another one has 35 bytes, and all pictures of a packet are in memory at once.
"""

from __future__ import annotations

#: Encoders put a pyramid of hidden frames before a shown one: six levels of them at most.
MAX_FRAMES = 16

_FRAME_HEADER, _FRAME = 3, 6


def has_too_many_frames(packet: bytes, limit: int = MAX_FRAMES) -> bool:
    """Whether a packet (AV1 specification, section 5.3: a sequence of OBUs) has more than `limit` frames.

    Stops at the first OBU beyond the limit, or at one that is damaged, where decoders stop as well.
    """
    at = frames = 0
    while at < len(packet):
        header = packet[at]
        at += 2 if header & 0x04 else 1
        if (header >> 3) & 0x0F in (_FRAME_HEADER, _FRAME):
            frames += 1
            if frames > limit:
                return True
        if not header & 0x02:  # without a size it takes the rest
            return False
        size = shift = 0
        while at < len(packet) and shift < 56:
            byte = packet[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        at += size
    return False
