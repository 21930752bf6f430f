from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from app.core.errors import InvalidSignFile, ServiceError
from app.services.signs.files import SetFile, SignInFile, StoredRecording, read_file, written
from app.services.signs.names import checked_gloss, checked_language, checked_name
from tests.support.media import npz

ROW = (np.ones(4) / 2).astype("<f2").tobytes()
SET = SetFile(
    "Familie",
    "gsg",
    (SignInFile("OMA", (StoredRecording("a/1", ROW, npz(), 1.6), StoredRecording("a/1", ROW, None, 1.2))),),
)


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(written(SET)) | changes).encode()


def with_recording(**changes: Any) -> bytes:
    file = json.loads(written(SET))
    file["signs"][0]["recordings"][0] |= changes
    return json.dumps(file).encode()


def test_a_file_is_read_as_it_was_written() -> None:
    assert read_file(written(SET)) == SET


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a whole file"),
        (written(SET)[:-40], "not a whole file"),
        (b"[" * 100_000, "not a whole file"),
        (b"{}", "not a whole file"),
        (b'{"format":"other","version":1}', "its format is 'other'"),
        (changed(version=2), "version 2; this service reads version 1. Update"),
        (changed(signs={}), "damaged"),
        (changed(name="a\u202eb"), "U\\+202E"),
        (changed(sign_language="../x"), "ISO 639-3"),
        (changed(signs=[{"gloss": f"S{i}", "recordings": []} for i in range(501)]), "501 signs, more than 500"),
        (changed(signs=[{"gloss": "A", "recordings": []}] * 2), "one name"),
        (with_recording(embedding="!!"), "damaged"),
        (with_recording(embedding=""), "damaged"),
        (with_recording(embedding=base64.b64encode(b"\x00" * 8).decode()), "embedding of OMA is damaged"),
        (with_recording(embedding=base64.b64encode(b"\x00\x7e" * 4).decode()), "embedding of OMA is damaged"),
        (with_recording(embedding="A" * 40_000), "too large"),
        (with_recording(landmarks=base64.b64encode(b"PK\x03\x04" + bytes(90)).decode()), "landmarks of OMA"),
        (with_recording(space="a\x00b"), "damaged"),
        (with_recording(duration_s=1e9), "lasts 1e\\+09 s"),
    ],
)
def test_what_is_no_whole_file_of_this_version_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(InvalidSignFile, match=says):
        read_file(data)


def test_a_sign_has_at_most_fifty_recordings() -> None:
    many = SignInFile("A", (StoredRecording("a/1", ROW, None, 1.0),) * 51)
    with pytest.raises(InvalidSignFile, match="51 recordings"):
        read_file(written(SetFile("x", "ase", (many,))))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Oma", "Oma"),
        ("  two   words ", "two words"),
        ("бабушка", "бабушка"),
        ("奶奶", "奶奶"),
        ("جدة", "جدة"),
        ("दादी", "दादी"),
        ("क्\u200dष", "क्\u200dष"),
        ("e\u0301", "é"),
        ("👵", "👵"),
    ],
)
def test_any_script_is_a_name(name: str, kept: str) -> None:
    assert checked_name(name) == kept


@pytest.mark.parametrize(
    "name", ["", " ", "\x1b[31m", "a\nb", "a\u202eb", "\u2066x", "a\x00", "-", "x" * 81, "\ud800", "x" * 5000]
)
def test_what_controls_a_terminal_or_says_nothing_is_none(name: str) -> None:
    with pytest.raises(ServiceError):
        checked_name(name)


def test_glosses_and_languages() -> None:
    assert checked_gloss("my grandma") == "MY-GRANDMA"
    assert checked_language("bfi") == "bfi"
    for wrong in ("", "en", "ASE", "a;b"):
        with pytest.raises(ServiceError):
            checked_language(wrong)
    with pytest.raises(ServiceError, match="comma"):
        checked_gloss("a,b")
    with pytest.raises(ServiceError, match="formula"):
        checked_gloss("=cmd()")
