"""What decoding a packet of video may cost, read from its bytes: no call of FFmpeg can be interrupted.

Slices share out a picture. Nothing keeps a packet from holding thousands of them of which each covers the whole picture
again, in 15 bytes that say "as before": a megabyte of these takes minutes. How much of the picture a slice covers shows
only in its coded data, so slices are counted. An AV1 packet is to hold one shown frame and the hidden ones that it
refers to; a decoder takes any number, a frame that repeats another one has 35 bytes, and all pictures of a packet are
in memory at once.
"""

from __future__ import annotations

import re

#: Slices of one packet. Level 5 of H.265 allows 200; encoders write up to a few dozen. Covering a picture of 4096x2304
#: takes some 5 ms (H.264) to 15 ms (H.265).
MAX_SLICES = 256

#: Slices (and data partitions) as first bytes of a NAL unit: H.264 has the type in the low 5 bits, H.265 in bits 1-6.
_H264 = frozenset(byte for byte in range(128) if byte & 31 in (1, 2, 5))
_HEVC = frozenset(byte for byte in range(128) if byte >> 1 < 32)
_NAL_SLICES = {"h264": _H264, "hevc": _HEVC}
_START = rb"\0\0\x01"
_NAL_UNIT = re.compile(_START + rb"(.)", re.DOTALL)
#: Where slices begin in codecs without NAL units: MPEG-1 and MPEG-2 number rows in start codes 01 to AF, and every
#: picture of a packet counts; the resynchronisation markers of MPEG-4 and its kin begin with two bytes of 0.
_MARKERS = {
    **dict.fromkeys(("mpeg1video", "mpeg2video"), re.compile(_START + rb"[\x00-\xaf]")),
    **dict.fromkeys(("mpeg4", "h263", "flv"), re.compile(rb"\0{2,}")),
}
#: MPEG-2 begins a slice in every row of blocks, and may begin some in each.
_ROWS = 4
#: AV1 encoders put a pyramid of hidden frames before a shown one: six levels of them at most.
MAX_AV1_FRAMES = 16
_AV1_FRAME_HEADER, _AV1_FRAME = 3, 6


def too_many_slices(codec: str, data: bytes, extradata: bytes | None = None) -> bool:
    """Whether a packet has more slices than any encoder writes. codec: FFmpeg's name of the decoder; extradata: the
    stream's, which says how NAL units are delimited. False for codecs whose packets are bounded by their size."""
    if codec in _NAL_SLICES:
        return _nal_slices(data, extradata or b"", codec) > MAX_SLICES
    if codec in _MARKERS:
        limit = _ROWS * MAX_SLICES
        return sum(1 for _, _ in zip(range(limit + 1), _MARKERS[codec].finditer(data), strict=False)) > limit
    return False


def _nal_slices(data: bytes, extradata: bytes, codec: str) -> int:
    """Slices behind start codes and, where the stream has them, behind lengths: FFmpeg reads both in one packet."""
    first_bytes = _NAL_SLICES[codec]
    found = 0
    for match in _NAL_UNIT.finditer(data):
        found += match[1][0] in first_bytes
        if found > MAX_SLICES:
            return found
    at_length = 4 if codec == "h264" else 21  # in the configuration record: the low two bits, less one
    record = extradata.startswith(b"\x01") if codec == "h264" else not extradata.startswith((b"\0\0\0", b"\0\0\x01"))
    if len(extradata) <= at_length or not record:
        return found
    width = (extradata[at_length] & 3) + 1
    at = 0
    while at + width < len(data) and found <= MAX_SLICES:
        found += data[at + width] in first_bytes
        at += width + int.from_bytes(data[at : at + width], "big")
    return found


def too_many_av1_frames(packet: bytes) -> bool:
    """Whether a packet (AV1 specification, section 5.3: a sequence of OBUs) has more than MAX_AV1_FRAMES frames.

    Stops at the first OBU beyond the limit, or at one that is damaged, where decoders stop as well.
    """
    at = frames = 0
    while at < len(packet):
        header = packet[at]
        at += 2 if header & 0x04 else 1
        frames += (header >> 3) & 0x0F in (_AV1_FRAME_HEADER, _AV1_FRAME)
        if frames > MAX_AV1_FRAMES or not header & 0x02:  # without a size it takes the rest
            break
        size = shift = 0
        while at < len(packet) and shift < 56:
            byte = packet[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        at += size
    return frames > MAX_AV1_FRAMES


def count_scans(packet: bytes) -> int:
    """At least as many scans as a decoder of Motion JPEG can find, which looks for them also in damaged segments.

    A whole JPEG file may hold a preview or a film behind its end, which this counts too: those go through `check_jpeg`.
    """
    return packet.count(b"\xff\xda")
