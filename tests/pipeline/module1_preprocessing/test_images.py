from __future__ import annotations

import base64
import struct
from unittest.mock import patch

import numpy as np
import pytest

from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, picture_from_bytes, pictures_from
from tests.support.media import jpeg, jpeg_base64, picture


def test_a_picture_is_decoded_as_it_was() -> None:
    found = JpegPicture.check(jpeg(96, 64))
    assert (found.width, found.height) == (96, 64)
    rgb = found.decode()
    assert rgb.shape == (64, 96, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - picture(96, 64)).mean() < 3


def test_large_pictures_are_decoded_smaller_and_keep_their_shape() -> None:
    rgb = JpegPicture.check(jpeg(3840, 2160)).decode()
    assert 720 <= rgb.shape[0] < 2160
    assert rgb.shape[1] / rgb.shape[0] == pytest.approx(16 / 9, rel=0.01)


def test_what_simplejpeg_refuses_goes_to_opencv() -> None:
    found = JpegPicture.check(jpeg(96, 64))
    with patch("simplejpeg.decode_jpeg", side_effect=ValueError("no")):
        rgb = found.decode()
    assert np.abs(rgb.astype(int) - picture(96, 64)).mean() < 3


def test_size_is_checked_before_anything_is_decoded() -> None:
    with patch("simplejpeg.decode_jpeg", side_effect=AssertionError("decoded")):
        with pytest.raises(InvalidImage, match="8000x8000"):
            JpegPicture.check(jpeg(8000, 8000))
        with pytest.raises(InvalidImage, match=r"frames\[4\] is 8x8"):
            JpegPicture.check(jpeg(8, 8), 4)


def webp_headers(width: int, height: int) -> list[bytes]:
    """The three kinds of WebP, of this size and without any coded pixels."""
    extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    lossless = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + bytes(5)
    lossy = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    kinds = ((b"VP8X", extended), (b"VP8L", lossless), (b"VP8 ", lossy))
    return [b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + head for kind, head in kinds]


@pytest.mark.parametrize(("width", "height"), [(16000, 100), (100, 16000), (600, 50), (8, 8)])
def test_the_size_of_a_webp_is_checked_before_it_is_decoded(width: int, height: int) -> None:
    for data in webp_headers(width, height):
        with (
            patch("cv2.imdecode", side_effect=AssertionError("decoded")),
            pytest.raises(InvalidImage, match=f"{width}x{height}") as refused,
        ):
            picture_from_bytes(data)
        assert refused.value.code == "bad_dimensions"


@pytest.mark.parametrize(
    ("frames", "code", "said"),
    [
        (["%%%"], "not_an_image", r"frames\[0\] is not base64"),
        ([jpeg_base64(), base64.b64encode(b"GIF89a").decode()], "not_an_image", r"frames\[1\] is not a JPEG"),
        ([base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 50).decode()], "not_an_image", "not a JPEG"),
        ([jpeg_base64(96, 64), jpeg_base64(64, 96)], "sizes_differ", "same size"),
        (["data:image/jpeg;base64,"], "not_an_image", "not a JPEG"),
        (["é"], "not_an_image", "not base64"),
    ],
)
def test_bad_frames_are_named(frames: list[str], code: str, said: str) -> None:
    with pytest.raises(InvalidImage, match=said) as caught:
        pictures_from(frames)
    assert caught.value.code == code


def test_data_urls_and_plain_base64_are_read() -> None:
    text = jpeg_base64()
    pictures = pictures_from([text, f"data:image/jpeg;base64,{text}"])
    assert [(frame.time_s, frame.rgb.shape) for frame in decoded(pictures, [0.0, 0.04])] == [
        (0.0, (64, 96, 3)),
        (0.04, (64, 96, 3)),
    ]


def test_a_cut_off_picture_is_named_when_it_cannot_be_decoded() -> None:
    cut = JpegPicture.check(jpeg(96, 64)[:-60], 2)
    with (
        patch("cv2.imdecode", return_value=None),
        patch("simplejpeg.decode_jpeg", side_effect=ValueError("cut")),
        pytest.raises(InvalidImage, match=r"frames\[2\]"),
    ):
        cut.decode()
