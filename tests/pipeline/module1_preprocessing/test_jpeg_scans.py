"""What a JPEG would cost is read from its bytes, whatever hides in them."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.images import picture_from_bytes
from app.pipeline.module1_preprocessing.jpeg_scans import MAX_JPEG_BYTES, MAX_SCANS, MAX_SEGMENTS, check_jpeg
from tests.support.hostile import many_scans


def encoded(**options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidImage) as caught:
        check_jpeg(data)
    return caught.value.code


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"optimize": True}])
def test_what_encoders_write_is_taken(options: dict[str, object]) -> None:
    check_jpeg(encoded(**options))
    assert picture_from_bytes(encoded(**options)).shape == (64, 96, 3)


def test_restart_markers_and_stuffed_bytes_are_no_segments() -> None:
    check_jpeg(encoded(quality=100, restart_marker_blocks=1))


def test_as_many_scans_as_allowed_and_one_more() -> None:
    check_jpeg(many_scans(MAX_SCANS, 160, 120))
    assert picture_from_bytes(many_scans(MAX_SCANS, 160, 120)).shape == (120, 160, 3)
    assert refusal(many_scans(MAX_SCANS + 1, 160, 120)) == "too_expensive"
    assert refusal(many_scans(5000)) == "too_expensive"


def test_scans_behind_fill_bytes_and_restarts_are_counted_too() -> None:
    bomb = many_scans(200, 160, 120)
    assert refusal(bomb.replace(b"\xff\xda", b"\xff\xff\xff\xda")) == "too_expensive"
    assert refusal(bomb.replace(b"\xff\xda", b"\xff\xd0\xff\x01\xff\xda")) == "too_expensive"


def test_pictures_inside_other_segments_and_behind_the_end_do_not_count() -> None:
    honest = encoded(progressive=True)
    preview = many_scans(200, 160, 120)[:60_000]
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    with_preview = honest[:2] + segment + honest[2:]
    check_jpeg(with_preview)
    check_jpeg(honest + many_scans(200))
    assert picture_from_bytes(with_preview).shape == (64, 96, 3)


@pytest.mark.parametrize("kind", [0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xCF])
def test_rare_codings_are_refused(kind: int) -> None:
    assert refusal(encoded().replace(b"\xff\xc0", bytes([0xFF, kind]), 1)) == "undecodable"


def test_twelve_bits_and_huge_files_are_refused() -> None:
    data = encoded()
    at = data.index(b"\xff\xc0")
    assert refusal(data[: at + 4] + b"\x0c" + data[at + 5 :]) == "undecodable"
    assert refusal(data + bytes(MAX_JPEG_BYTES)) == "too_expensive"


def test_segments_without_end_are_refused() -> None:
    data = encoded()
    comments = b"\xff\xfe\0\2" * MAX_SEGMENTS
    check_jpeg(data[:2] + comments[:4000] + data[2:])
    assert refusal(data[:2] + comments + data[2:]) == "too_expensive"


@pytest.mark.parametrize(
    "body", [b"\xff\xda\0\2" + b"\xff\0" * 4_000_000, b"\xff" * 8_000_000, b"\xff\x01" * 4_000_000, bytes(8_000_000)]
)
def test_megabytes_of_anything_take_one_pass(body: bytes) -> None:
    try:
        check_jpeg(b"\xff\xd8\xff\xe0\0\2" + body)
    except InvalidImage as problem:
        assert problem.code in ("too_expensive", "undecodable")  # noqa: PT017 - either answer is right


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=6))
def test_damaged_bytes_are_refused_or_decoded(junk: bytes, at: int, replacement: bytes) -> None:
    data = encoded(progressive=True)
    for damaged in (b"\xff\xd8" + junk, data[:at] + replacement + data[at + len(replacement) :], data[:at] + junk):
        with contextlib.suppress(InvalidImage):
            picture_from_bytes(damaged)
