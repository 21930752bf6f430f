"""A strict reader of untrusted .npz archives: whatever numpy would not have written is refused, with one error.

numpy's own reader hands the header to Python's tokenizer and parser and the archive to four decompressors; damaged
files made them raise nine kinds of exceptions. Here the header has to match one pattern, and only stored and deflated
members are read. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.invalid import InvalidLandmarkFile

MAX_MEMBERS = 64
#: numpy pads headers to a multiple of 64; those of plain arrays have 118 bytes.
MAX_HEADER = 4096
MAX_DIMENSIONS = 8

#: The dictionary that numpy writes as header: little- or big-endian integers, floats and booleans
#: (Python 2 wrote an L behind a number).
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[fiub](?:1|2|4|8|16))', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}L?(?:, ?\d{1,18}L?){0,31},?)?)\), ?\} *\n?"
)


def read_npz(data: bytes, names: Collection[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays called `names` that the archive holds; all others are ignored.

    max_bytes: of all these arrays together, checked as declared before anything is unpacked. The arrays are read-only.
    Raises InvalidLandmarkFile ("not_landmarks", "too_large") and nothing else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise _damaged(f"the archive holds {len(infos)} files; at most {MAX_MEMBERS} are taken")
            members = {info.filename: info for info in infos}
            wanted = {name: members[f"{name}.npy"] for name in names if f"{name}.npy" in members}
            declared = sum(info.file_size for info in wanted.values())
            if declared > max_bytes:
                raise InvalidLandmarkFile("too_large", f"its arrays take {declared} bytes, the limit is {max_bytes}")
            return {name: _array(archive, info) for name, info in wanted.items()}
    except InvalidLandmarkFile:
        raise
    # zipfile documents BadZipFile; on damaged archives these were seen as well, all of them about the bytes given.
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, LookupError,
            OverflowError, MemoryError) as error:  # fmt: skip
        raise _damaged(f"the file is not a whole .npz archive ({type(error).__name__}: {error})") from error


def _damaged(message: str) -> InvalidLandmarkFile:
    return InvalidLandmarkFile("not_landmarks", message)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _damaged(f"'{info.filename}' is compressed in a way that numpy does not write")
    with archive.open(info) as file:
        content = file.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise _damaged(f"'{info.filename}' has another size than it declares")
    return _parsed(content, info.filename)


def _parsed(content: bytes, name: str) -> NDArray[Any]:
    """An array from the bytes of a .npy file (numpy.lib.format, versions 1 to 3)."""
    if content[:6] != b"\x93NUMPY" or len(content) < 12:
        raise _damaged(f"'{name}' is not an array")
    size_format, start = ("<H", 10) if content[6] == 1 else ("<I", 12)
    length = struct.unpack_from(size_format, content, 8)[0]
    header = content[start : start + length]
    found = _HEADER.fullmatch(header) if length <= MAX_HEADER and len(header) == length else None
    if found is None:
        raise _damaged(f"'{name}' is not an array of numbers, or its header is damaged")
    kind, fortran, dimensions = found.groups()
    try:
        dtype = np.dtype(kind.decode("ascii"))
    except TypeError:
        raise _damaged(f"'{name}' holds {kind.decode('ascii')}, which is not a number type") from None
    shape = tuple(int(part.rstrip(b"L")) for part in dimensions.split(b",") if part.strip())
    if len(shape) > MAX_DIMENSIONS:
        raise _damaged(f"'{name}' has {len(shape)} dimensions; at most {MAX_DIMENSIONS} are read")
    numbers, there = math.prod(shape), len(content) - start - length
    if numbers * dtype.itemsize > there:
        raise _damaged(f"'{name}' is cut off: it declares {numbers} numbers and holds {there} bytes")
    flat = np.frombuffer(content, dtype, numbers, start + length) if numbers else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if fortran == b"True" else "C")
