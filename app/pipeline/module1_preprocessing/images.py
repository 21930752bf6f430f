"""Images sent by clients (JPEG, WebP): size and cost are read from the bytes before a single pixel is decoded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.image_limits import check_dimensions
from app.pipeline.module1_preprocessing.invalid import InvalidImage
from app.pipeline.module1_preprocessing.jpeg_scans import check_jpeg
from app.pipeline.module1_preprocessing.video import Frame

#: Larger images are decoded at a reduced scale of at least this many pixels a side: landmarks need no more.
ENOUGH = 720


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """A JPEG whose header was read."""

    data: bytes
    """The file."""
    width: int
    """Pixels, from the header."""
    height: int
    """Pixels, from the header."""
    index: int = 0
    """Its position in the request, for messages."""

    @classmethod
    def check(cls, data: bytes, index: int = 0) -> JpegPicture:
        """Read the structure, decode nothing. Raises InvalidImage."""
        import simplejpeg

        check_jpeg(data, f"frames[{index}]")
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            raise InvalidImage("not_an_image", f"frames[{index}] is not a JPEG image: it has no valid header") from None
        check_dimensions(width, height, f"frames[{index}]")
        return cls(data, width, height, index)

    def decode(self) -> NDArray[np.uint8]:
        """RGB image uint8 (H, W, 3), at reduced scale where it is larger than needed. Raises InvalidImage."""
        import simplejpeg

        try:
            picture: NDArray[np.uint8] | None = simplejpeg.decode_jpeg(
                self.data, colorspace="RGB", min_height=min(self.height, ENOUGH), min_width=min(self.width, ENOUGH)
            )
        except ValueError:  # rarer kinds, such as four colour channels or damaged endings
            picture = rgb_from_bytes(self.data)
        if picture is None:
            raise InvalidImage(
                "undecodable", f"frames[{self.index}] has a JPEG header, but the image cannot be decoded"
            )
        return picture


def picture_from_bytes(data: bytes) -> NDArray[np.uint8]:
    """One JPEG or WebP -> RGB uint8 (H, W, 3). Raises InvalidImage."""
    size = _webp_size(data)
    if size is None:
        return JpegPicture.check(data).decode()
    check_dimensions(*size)
    picture = rgb_from_bytes(data)
    if picture is None:
        raise InvalidImage("undecodable", "the image has a WebP header, but cannot be decoded")
    return picture


def rgb_from_bytes(data: bytes) -> NDArray[np.uint8] | None:
    """What OpenCV decodes, RGB uint8 (H, W, 3); None for what it cannot. Check size and cost first."""
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if picture is None else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a WebP header (RFC 9649); None for anything else. Raises InvalidImage."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind, head = data[12:16], data[20:30]
    if len(head) == 10:
        if kind == b"VP8X":
            if head[0] & 0x02:
                raise InvalidImage("undecodable", "the image is an animated WebP; send its frames one by one")
            return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
        if kind == b"VP8L" and head[0] == 0x2F:
            bits = int.from_bytes(head[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
            return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    raise InvalidImage("not_an_image", "the image begins like a WebP but has no valid header")


def bytes_from_base64(text: str) -> bytes:
    """Plain base64, or a data: URL of it. Raises ValueError."""
    return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)


def pictures_from(frames: Iterable[bytes | str]) -> list[JpegPicture]:
    """JPEG files or base64 of them (plain or as data: URL), all of one size, whose headers are read. Raises
    InvalidImage."""
    pictures: list[JpegPicture] = []
    for index, data in enumerate(frames):
        try:
            jpeg = bytes_from_base64(data) if isinstance(data, str) else data
        except ValueError:
            raise InvalidImage("not_an_image", f"frames[{index}] is not base64: send base64 of JPEG files") from None
        picture = JpegPicture.check(jpeg, index)
        if pictures and (picture.width, picture.height) != (pictures[0].width, pictures[0].height):
            raise InvalidImage(
                "sizes_differ",
                f"frames[{index}] is {picture.width}x{picture.height}, but frames[0] is "
                f"{pictures[0].width}x{pictures[0].height}; all frames of a clip must have the same size",
            )
        pictures.append(picture)
    return pictures


def decoded(pictures: Sequence[JpegPicture], times_s: Sequence[float]) -> Iterator[Frame]:
    """Frames of the images, decoded one at a time. Raises InvalidImage."""
    for picture, time_s in zip(pictures, times_s, strict=True):
        yield Frame(picture.decode(), time_s)
