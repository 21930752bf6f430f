"""The file of prototypes: a zip with an index and, for each gloss, its numbers as JSON, read one gloss at a time.

Numbers are whole thousandths of a shoulder width: the first frame, then what each frame adds to the one before.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import NUM_HAND
from app.signer.performance import FPS, Performance

Float = NDArray[np.float64]

FORMAT = 2
_INDEX = "index.json"
_UNIT = 1000
_HANDS = ("left", "right")


class InvalidPrototypes(ValueError):
    """The prototype file is not what this version reads."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a prototype was made from."""

    signers: int
    """Number of signers whose recordings were averaged."""
    clips: int
    """Number of recordings that were averaged."""
    corpus: str
    """Name of the corpus they are from."""


def read_index(path: Path) -> tuple[Float, dict[str, Origin]]:
    """The body (25, 2) of the figure, and where each gloss comes from. Raises InvalidPrototypes, FileNotFoundError."""
    try:
        with zipfile.ZipFile(path) as file:
            index = json.loads(file.read(_INDEX))
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise InvalidPrototypes(f"{path} is not a file of prototypes: {problem}") from problem
    if index.get("format") != FORMAT:
        raise InvalidPrototypes(f"{path} has format {index.get('format')!r}, this version reads format {FORMAT}")
    origins = {gloss: Origin(e["signers"], e["clips"], e["corpus"]) for gloss, e in index["glosses"].items()}
    return np.asarray(index["body"], np.float64) / _UNIT, origins


def read_sign(path: Path, gloss: str) -> Performance:
    """One gloss of the file. Raises KeyError for a gloss that is not in it."""
    with zipfile.ZipFile(path) as file:
        entry: dict[str, Any] = json.loads(file.read(f"{gloss}.json"))

    def real(steps: object, *shape: int) -> Float:
        return np.cumsum(np.asarray(steps, np.int64), axis=0).reshape(-1, *shape) / _UNIT

    nose, elbows, wrists = real(entry["nose"], 2), real(entry["elbows"], 2, 2), real(entry["wrists"], 2, 2)
    frames = len(nose)
    hands, raised = np.zeros((frames, 2, NUM_HAND, 2)), np.zeros((frames, 2))
    for side, name in enumerate(_HANDS):
        if part := entry.get(name):
            shapes, start = real(part["points"], NUM_HAND, 2), int(part["start"])
            hands[:, side] = shapes[np.clip(np.arange(frames) - start, 0, len(shapes) - 1)]
            raised[start : start + len(shapes), side] = 1.0
    return with_both_hands(Performance(nose, elbows, wrists, hands, raised))


def with_both_hands(sign: Performance) -> Performance:
    """A hand that takes no part has the other one's shape, in the mirror."""
    hands = sign.hands.copy()
    for side in range(2):
        if not sign.raised[:, side].any():
            hands[:, side] = hands[:, 1 - side] * [-1, 1]
    return Performance(sign.nose, sign.elbows, sign.wrists, hands, sign.raised)


def write(path: Path, body: Float, signs: Iterable[tuple[str, Origin, Performance]]) -> None:
    """Writes a file of prototypes, the same bytes for the same signs. `raised` is 1 in one stretch, or all 0."""
    members: dict[str, object] = {}
    origins: dict[str, dict[str, object]] = {}
    for gloss, origin, sign in sorted(signs, key=lambda entry: entry[0]):
        origins[gloss] = {"signers": origin.signers, "clips": origin.clips, "corpus": origin.corpus, "how": "average"}
        entry: dict[str, object] = {name: _steps(getattr(sign, name)) for name in ("nose", "elbows", "wrists")}
        for side, name in enumerate(_HANDS):
            at = np.flatnonzero(sign.raised[:, side])
            if len(at):
                entry[name] = {"start": int(at[0]), "points": _steps(sign.hands[at[0] : at[-1] + 1, side])}
        members[f"{gloss}.json"] = entry
    index = {
        "format": FORMAT,
        "unit": "1/1000 shoulder width; origin at the shoulder midpoint, x right, y down; hands relative to the wrist",
        "fps": FPS,
        "method": "DTW barycentre of training clips of several signers; app/signer/making",
        "body": np.rint(body * _UNIT).astype(int).tolist(),
        "glosses": origins,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, content in {_INDEX: index, **members}.items():
            file.writestr(zipfile.ZipInfo(name), json.dumps(content, separators=(",", ":")), zipfile.ZIP_DEFLATED, 9)


def _steps(values: Float) -> list[list[int]]:
    whole = np.rint(values.reshape(len(values), -1) * _UNIT).astype(int)
    return [[int(v) for v in row] for row in np.diff(whole, axis=0, prepend=np.zeros_like(whole[:1]))]
