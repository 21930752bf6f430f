"""A bank in one small file, to travel to the machine that trains: quantised, differences in time, LZMA."""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.training.corpora.glosses.bank import GROUPS, LEFT, POINTS, RIGHT, SHOULDERS, Bank, Clip

#: Steps of a shoulder width for positions and for points relative to their wrist.
POSITION, SHAPE = 128, 192
#: Pose points that travel; elbows and the pose's wrists, which no network of this corpus reads, do not.
_BODY = [*range(SHOULDERS.stop)]


def pack(bank: Bank, path: Path) -> None:
    """Write `path`. Lossy: positions to 1 / POSITION, hand shapes to 1 / SHAPE of a shoulder width."""
    points = bank.points.astype(np.float32)
    columns = [np.rint(points[:, _BODY] * POSITION)]
    for hand in (LEFT, RIGHT):
        wrist = np.rint(points[:, hand][:, :1] * POSITION)
        columns += [wrist, np.rint((points[:, hand][:, 1:] - wrist / POSITION) * SHAPE)]
    table = np.concatenate(columns, axis=1).astype(np.int16).reshape(len(points), -1)
    for group, where in enumerate(_columns()):  # a missing part repeats what was last there: its differences are 0
        table[:, where] = _held(table[:, where], bank.there[:, group])
    delta = np.diff(table, axis=0, prepend=np.zeros_like(table[:1])).astype(np.int16).T.copy()
    raw = np.stack([delta.view(np.uint8)[:, 0::2], delta.view(np.uint8)[:, 1::2]])
    head = json.dumps({"frames": len(points), "clips": [list(asdict(c).values()) for c in bank.clips]}).encode()
    with lzma.open(path, "wb", preset=6) as f:
        f.write(len(head).to_bytes(4, "little") + head + np.packbits(bank.there, axis=0).tobytes() + raw.tobytes())


def unpack(path: Path) -> Bank:
    """Inverse of `pack`, up to its rounding; elbows and the pose's wrists are 0."""
    with lzma.open(path, "rb") as f:
        head = json.loads(f.read(int.from_bytes(f.read(4), "little")))
        frames = int(head["frames"])
        there = np.unpackbits(
            np.frombuffer(f.read(-(-frames // 8) * 3), np.uint8).reshape(-1, 3), axis=0, count=frames
        ).astype(bool)
        raw = np.frombuffer(f.read(), np.uint8).reshape(2, -1, frames)
    delta = (raw[0].astype(np.uint16) | raw[1].astype(np.uint16) << 8).view(np.int16)
    table = np.cumsum(delta, axis=1, dtype=np.int16).T
    points = np.zeros((frames, POINTS, 2), np.float32)
    where = _columns()
    points[:, _BODY] = table[:, where[0]].reshape(frames, -1, 2) / POSITION
    for columns, hand in zip(where[1:], (LEFT, RIGHT), strict=True):
        own = table[:, columns].reshape(frames, 21, 2)
        points[:, hand.start] = own[:, 0] / POSITION
        points[:, hand.start + 1 : hand.stop] = own[:, 1:] / SHAPE + own[:, :1] / POSITION
    for group, part in enumerate(GROUPS):
        points[~there[:, group], part] = 0
    return Bank(points.astype(np.float16), there, tuple(Clip(*row) for row in head["clips"]))


def _columns() -> list[slice]:
    body = 2 * len(_BODY)
    return [slice(0, body), slice(body, body + 42), slice(body + 42, body + 84)]


def _held(values: NDArray[np.int16], there: NDArray[np.bool_]) -> NDArray[np.int16]:
    return values[np.maximum.accumulate(np.where(there, np.arange(len(values)), 0))]
