"""Damaged and crafted archives are refused by one error; what numpy writes is read as numpy reads it."""

from __future__ import annotations

import io
import random
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.pipeline.module1_preprocessing.landmark_files import InvalidLandmarkFile, load_landmarks
from app.pipeline.module1_preprocessing.npz import MAX_MEMBERS, read_npz
from tests.support.media import npz

LIMIT = 1 << 20
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


def archive(content: bytes, compression: int = zipfile.ZIP_STORED, name: str = "a.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def npy(header: str, body: bytes = bytes(24), version: int = 1) -> bytes:
    text = header.encode()
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


@given(
    arrays.arrays(
        st.sampled_from(["<f2", ">f4", "<f8", "<i8", "u1", "?", "<u2"]), arrays.array_shapes(min_dims=0, max_dims=4)
    ),
    st.booleans(),
    st.booleans(),
)
def test_what_numpy_writes_is_read(array: np.ndarray, fortran: bool, compressed: bool) -> None:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, a=np.asarray(array, order="F" if fortran else "C"))
    found = read_npz(buffer.getvalue(), ["a", "b"], LIMIT)
    assert list(found) == ["a"]
    assert found["a"].dtype == array.dtype
    np.testing.assert_array_equal(found["a"], array)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_header_versions(version: int) -> None:
    assert read_npz(archive(npy(HEADER, version=version)), ["a"], LIMIT)["a"].shape == (2, 3)


BAD = {
    "first byte lost": npz()[1:],
    "lzma": archive(npy(HEADER), zipfile.ZIP_LZMA),
    "bz2": archive(npy(HEADER), zipfile.ZIP_BZIP2),
    "name": archive(npy(HEADER), name="\u00e9.npy").replace("\u00e9".encode(), b"\xff\xff"),
    "open bracket": archive(npy(HEADER[:-5])),
    "nested": archive(npy("(" * 3000)),
    "deep": archive(npy("{'descr': " + "[" * 2000 + "}")),
    "true as size": archive(npy(HEADER.replace("2, 3", "True, 3"))),
    "40 dimensions": archive(npy(HEADER.replace("2, 3", "1, " * 40))),
    "minus": archive(npy(HEADER.replace("2, 3", "-1, 3"))),
    "objects": archive(npy(HEADER.replace("<f4", "|O"))),
    "records": archive(npy(HEADER.replace("'<f4'", "[('x', '<f4')]"))),
    "text": archive(npy(HEADER.replace("<f4", "<U4"))),
    "float of one byte": archive(npy(HEADER.replace("<f4", "<f1"))),
    "huge": archive(npy(HEADER.replace("2, 3", "999999999999999999, 999999999999999999"))),
    "cut off": archive(npy(HEADER, bytes(23))),
    "no array": archive(b"abc"),
    "header longer than file": archive(b"\x93NUMPY\x02\x00\xff\xff\xff\xff"),
    "too many": b"",
    "encrypted": archive(npy(HEADER)).replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
    ),
}


def _many() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for index in range(MAX_MEMBERS + 1):
            file.writestr(f"{index}.npy", b"")
    return buffer.getvalue()


BAD["too many"] = _many()


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_damaged_in_many_ways(data: bytes) -> None:
    with pytest.raises(InvalidLandmarkFile):
        read_npz(data, ["a", "pose"], LIMIT)
    with pytest.raises(InvalidLandmarkFile):
        load_landmarks(data, "clip.npz")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BAD["cut off"], "declares 6 numbers and holds 23 bytes"),
        (archive(npy(HEADER.replace("2, 3", ", ".join("1" * 9)))), "has 9 dimensions"),
    ],
)
def test_the_header_is_checked_before_numpy_sees_the_numbers(data: bytes, said: str) -> None:
    with pytest.raises(InvalidLandmarkFile, match=said):
        read_npz(data, ["a"], LIMIT)


def test_declared_size_is_checked_before_unpacking() -> None:
    with pytest.raises(InvalidLandmarkFile) as caught:
        read_npz(archive(npy(HEADER, bytes(LIMIT)), zipfile.ZIP_DEFLATED), ["a"], LIMIT)
    assert caught.value.code == "too_large"


def test_json_with_a_number_of_5000_digits() -> None:
    with pytest.raises(InvalidLandmarkFile) as caught:
        load_landmarks(b'{"fps": ' + b"9" * 5000 + b"}", "clip.json")
    assert caught.value.code == "bad_shape"


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_raise_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    good = npz(frames=6)
    for _ in range(400):
        data = bytearray(good)
        zone = chance.choice([min(len(data), 400), len(data)])
        for _ in range(chance.choice([1, 2, 8])):
            at = chance.randrange(zone)
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f"])
                case 2:
                    del data[at : at + chance.choice([1, 2, 50])]
                case _:
                    data[at:at] = chance.randbytes(3)
            zone = min(zone, len(data))
        try:
            load_landmarks(bytes(data), "clip.npz")
        except InvalidLandmarkFile:
            continue
