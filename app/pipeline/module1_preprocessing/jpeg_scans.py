"""What decoding a JPEG would cost, read from its bytes: a few kilobytes of progressive scans can cost minutes.

Every scan of a JPEG is another pass over the whole image. Encoders write at most about a dozen of them; a decoder
takes any number, and a scan that changes nothing has 20 bytes.
"""

from __future__ import annotations

import re

from app.pipeline.module1_preprocessing.invalid import InvalidImage

#: libjpeg and mozjpeg write at most 12 progressive scans.
MAX_SCANS = 32
#: Tables, comments, application data. An ICC profile may take some hundred segments.
MAX_SEGMENTS = 4096
#: A photograph of 4096x2304 at the best quality has some 12 MB.
MAX_JPEG_BYTES = 16 * 1024 * 1024

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
#: Baseline, extended and progressive DCT with Huffman codes: what cameras and browsers write. Lossless, hierarchical
#: and arithmetic-coded files are refused: they are not in use, and their decoders are slower and little tested.
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
#: The next marker between segments (any fill bytes before it are skipped), and inside coded data, where FF00 is a byte
#: and FFD0..FFD7 are restarts. Both search in C, in one linear pass.
_MARKER = re.compile(rb"\xff[\x00-\xfe]", re.DOTALL)
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)


def check_jpeg(data: bytes, what: str = "the picture") -> None:
    """Refuse a JPEG that is not one, is coded in a rare way or has more than MAX_SCANS scans, without decoding it.

    Takes time linear in the bytes. Raises InvalidImage ("not_an_image", "undecodable" or "too_expensive").
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise InvalidImage("not_an_image", f"{what} is not a JPEG image")
    if len(data) > MAX_JPEG_BYTES:
        raise InvalidImage("too_expensive", f"{what} has {len(data)} bytes; at most {MAX_JPEG_BYTES} are taken")
    at, scans = 2, 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            return  # cut off: decoders make up the rest, no further scan follows
        marker, at = data[found.end() - 1], found.end()
        if marker == _EOI:
            return
        if marker == 0 or marker == _TEM or marker in _RESTARTS:
            continue
        if marker in _OTHER_FRAMES:
            raise InvalidImage(
                "undecodable", f"{what} is coded as JPEG type SOF{marker - 0xC0}; send baseline or progressive JPEG"
            )
        if marker < 0xC0 or marker == _SOI:
            raise InvalidImage("undecodable", f"{what} has a damaged JPEG structure (marker FF{marker:02X})")
        length = int.from_bytes(data[at : at + 2], "big")
        if marker in _FRAMES and data[at + 2 : at + 3] not in (b"\x08", b""):
            raise InvalidImage("undecodable", f"{what} has {data[at + 2]} bits per sample; send 8-bit JPEG")
        at += max(2, length)
        if marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                raise InvalidImage(
                    "too_expensive",
                    f"{what} is a JPEG of more than {MAX_SCANS} scans, each a pass over the whole image; "
                    "save it again as baseline JPEG",
                )
            coded = _MARKER_IN_SCAN.search(data, at)
            if coded is None:
                return
            at = coded.start()
    raise InvalidImage("too_expensive", f"{what} is a JPEG of more than {MAX_SEGMENTS} segments; save it again")
