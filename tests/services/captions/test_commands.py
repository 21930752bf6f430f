from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Close, ServiceError
from app.services.captions.commands import (
    BINARY_HEADER,
    MAX_COORDINATE,
    Ack,
    Landmarks,
    Picture,
    Start,
    parse_binary,
    parse_text,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = ("start", "frame", "landmarks", "flush", "pause", "ack", "ping", "stop", "dance")
FIELDS = ("data", "points", "timestamp", "seq", "window", "stride", "fps", "resume", "targets", "endpoint_ms", "paused")


def fault_of(parse: Callable[[Any], object], message: object) -> ServiceError | None:
    """None where the message could be read. Anything but ServiceError fails the test."""
    try:
        parse(message)
    except ServiceError as fault:
        return fault
    return None


@given(st.text(max_size=200) | anything.map(json.dumps))
def test_any_text_is_a_message_or_a_fault_with_a_name(text: str) -> None:
    fault = fault_of(parse_text, text)
    assert fault is None or (fault.code and len(fault.detail) > 10)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), anything, max_size=5))
def test_any_fields_are_read_or_named(kind: str, fields: dict[str, object]) -> None:
    fault = fault_of(parse_text, json.dumps({"type": kind, **fields}))
    assert fault is None or fault.close in (None, Close.BAD_START)


@pytest.mark.parametrize("name", ["data", "image", "frame"])
def test_a_picture_has_the_names_that_clients_give_it(name: str) -> None:
    text = json.dumps({"type": "frame", name: base64.b64encode(b"picture").decode(), "timestamp": 40})
    assert parse_text(text) == Picture(b"picture", 40_000)


def test_a_binary_message_that_begins_like_a_jpeg_is_one() -> None:
    picture = b"\xff\xd8\xff\xe0 and so on"
    assert parse_binary(picture) == Picture(picture)


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    fault = fault_of(parse_binary, data)
    assert fault is None or fault.close is None


@given(
    st.integers(0, 2**64 - 1),
    st.integers(1, 100),
    st.sampled_from([0.0, 0.25, 1.0, -0.5, MAX_COORDINATE]),
)
def test_binary_landmarks_come_through(time_us: int, frames: int, value: float) -> None:
    points = np.full((frames, 75, 3), value, "<f2")
    found = parse_binary(BINARY_HEADER.pack(1, 3, 0, 7, time_us) + points.tobytes())
    assert isinstance(found, Landmarks)
    assert found.time_us == time_us
    assert found.points.shape == (frames, 75, 3)
    assert (found.points == value).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 8.5, -9.0])
def test_landmarks_that_are_none_are_refused(bad: float) -> None:
    points = np.zeros((1, 75, 3), "<f2")
    points[0, 40, 1] = bad
    with pytest.raises(ServiceError) as fault:
        parse_binary(BINARY_HEADER.pack(1, 3, 0, 0, 0) + points.tobytes())
    assert fault.value.code == "invalid_landmarks"


def test_what_simple_clients_send() -> None:
    jpeg = b"\xff\xd8\xff\xe0 and so on"
    for prefix in ("", "data:image/jpeg;base64,"):
        text = json.dumps({"type": "frame", "data": prefix + base64.b64encode(jpeg).decode(), "timestamp": 12.5})
        assert parse_text(text) == Picture(jpeg, 12_500)
    assert parse_text('{"type": "ack", "seq": 9}') == Ack(type="ack", seq=9)
    start = parse_text('{"type": "start", "endpoint_ms": 800, "something": "new"}')
    assert isinstance(start, Start)
    assert (start.endpoint_ms, start.interim, start.fps) == (800, True, 25.0)


def test_text_of_more_elements_than_a_message_has_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    fault = fault_of(parse_text, '{"type":"landmarks","points":[' + "[]," * 100_000 + "[]]}")
    assert fault is not None
    assert fault.code == "malformed_message"
