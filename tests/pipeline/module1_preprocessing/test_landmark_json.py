"""Hostile JSON costs no more than honest JSON."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from app.pipeline.module1_preprocessing.invalid import InvalidLandmarkFile
from app.pipeline.module1_preprocessing.landmark_json import read_arrays

MEBIBYTE = 1 << 20
MAX_FRAMES = 6000


def filled(head: bytes, element: bytes, tail: bytes, size: int = 16 * MEBIBYTE) -> bytes:
    return head + element * (size // len(element)) + element.rstrip(b",") + tail


HOSTILE = {
    "lists": filled(b'{"points":[', b"[],", b"]}"),
    "numbers": filled(b'{"points":[', b"1,", b"]}"),
    "strings": filled(b'{"points":[', b'"",', b"]}"),
    "points of one frame": filled(b'{"points":[[', b"[0,0,0],", b"]]}"),
    "half the elements": filled(b'{"points":[', b"1,", b"]}", 2_600_000),
    "one frame of them": filled(b'{"points":[[', b"[0,0,0],", b"]]}", 10_000_000),
    "one point of them": filled(b'{"points":[[[', b"0,", b"]]]}", 2_600_000),
    "unknown key": filled(b'{"x":[', b"1,", b"]}"),
    "keys": b"{" + b",".join(b'"k%d":1' % number for number in range(1_600_000)) + b"}",
    "depth": b'{"points":' + b"[" * 16 * MEBIBYTE,
    "depth elsewhere": b'{"x":' + b"[" * 16 * MEBIBYTE,
    "depth of objects": b'{"x":' * 3 * MEBIBYTE,
    "a long number": b'{"fps":' + b"1" * 16 * MEBIBYTE + b"}",
    "a long string": b'{"fps":"' + b"1" * 16 * MEBIBYTE + b'"}',
    "times": filled(b'{"times":[', b'"",', b"]}", 3_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused_in_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidLandmarkFile) as refusal:
            read_arrays(HOSTILE[name], MAX_FRAMES)
        assert refusal.value.code in ("not_json", "bad_shape")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 150 * MEBIBYTE


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"", "not_json", "not JSON"),
        (b"{", "not_json", "not JSON"),
        (b"\xff{}", "not_json", "not JSON"),
        (b"{} {}", "not_json", "not JSON"),
        (b" [1]", "not_landmarks", "JSON object"),
        (b'"x"', "not_landmarks", "JSON object"),
        (b'{"fps": %s}' % (b"7" * 5000), "bad_shape", "out of range"),
        (b'{"fps": 1e400}', "bad_shape", "out of range"),
        (b'{"fps": NaN}', "bad_shape", "no NaN"),
        (b'{"points": [[[-Infinity, 0, 0]]]}', "bad_shape", "no NaN"),
        (b'{"fps": "25"}', "bad_shape", "fps"),
        (b'{"points": []}', "bad_shape", "'points' has 0 frames"),
        (b'{"points": [null]}', "bad_shape", "frame 0 of 'points'"),
        (b'{"left": [[[0, 0], 1]]}', "bad_shape", "21 lists of 2 numbers"),
    ],
)
def test_what_is_wrong_is_named(text: bytes, code: str, said: str) -> None:
    with pytest.raises(InvalidLandmarkFile, match=said) as refusal:
        read_arrays(text, MAX_FRAMES)
    assert refusal.value.code == code


def test_what_is_sent_is_what_is_read() -> None:
    points = np.random.default_rng(1).random((30, 75, 3))
    sent = {"points": points.tolist(), "fps": 25, "width": 640.5, "height": None, "times": [1, 2.5], "more": [{}]}
    read = read_arrays(json.dumps(sent, indent=1).encode(), MAX_FRAMES)
    assert sorted(read) == ["fps", "points", "times", "width"]
    np.testing.assert_array_equal(read["points"], points)
    assert (float(read["fps"]), float(read["width"]), read["times"].tolist()) == (25, 640.5, [1, 2.5])


def test_the_longest_honest_clip_is_read() -> None:
    frame = "[" + ",".join(["[0.12345678901234567,0.5,1]"] * 75) + "]"
    text = f'{{"points": [{",".join([frame] * MAX_FRAMES)}], "times": {list(range(MAX_FRAMES))}}}'.encode()
    assert read_arrays(text, MAX_FRAMES)["points"].shape == (MAX_FRAMES, 75, 3)
    with pytest.raises(InvalidLandmarkFile, match="more numbers than 100 frames"):
        read_arrays(text, 100)
