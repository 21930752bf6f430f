"""The isolated-sign corpus in memory: clips by signer and gloss, in body coordinates."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    DEFAULT_ASPECT,
    LEFT_SHOULDER,
    NUM_KEYPOINTS,
    POSE,
    RIGHT_SHOULDER,
    Keypoints,
    hand_present,
    person_present,
)

NONE = "NONE"

#: Glosses of the corpus that were recorded as one clip but are several signs: real, if short, continuous signing.
RECORDED_PHRASES = {
    "HOW-ARE-YOU": ("HOW", "YOU"),
    "NICE-TO-MEET-YOU": ("NICE", "MEET", "YOU"),
    "GOOD-MORNING": ("GOOD", "MORNING"),
}


def signs_of(gloss: str) -> tuple[str, ...]:
    """The signs a clip with this label shows: nothing for NONE, the parts for a recorded phrase."""
    return () if gloss == NONE else RECORDED_PHRASES.get(gloss, (gloss,))


class CorpusError(RuntimeError):
    """The corpus folder is missing or not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. points: float16 (T, 75, 3) as recorded (picture coordinates); gloss NONE = no sign."""

    gloss: str
    signer: str
    points: NDArray[np.float16]

    def keypoints(self, fps: float) -> Keypoints:
        """As if recorded at `fps`: the corpus does not say at which rate it was."""
        return Keypoints.at_rate(self.points.astype(np.float32), fps, DEFAULT_ASPECT)


def load_signs(root: Path, split: str) -> list[Clip]:
    """Clips of one split ("train" or "dev") of the signs corpus. Raises CorpusError when the files are not there."""
    archive, table = root / f"{split}.npz", root / "clips.csv"
    if not archive.is_file() or not table.is_file():
        raise CorpusError(f"no signs corpus in {root}: expected {archive.name} and clips.csv there; pass --data FOLDER")
    with np.load(archive, allow_pickle=False) as z:
        pose, left, right, offsets = z["pose"], z["left"], z["right"], z["offsets"]
    points = np.zeros((len(pose), NUM_KEYPOINTS, 3), np.float16)
    points[:, POSE] = pose
    for start, hand in ((33, left), (54, right)):
        points[:, start : start + 21, :2] = hand
        points[:, start : start + 21, 2] = (hand != 0).any(axis=(1, 2))[:, None]
    with table.open(newline="", encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f) if row["split"] == split]
    if len(rows) != len(offsets) - 1:
        raise CorpusError(f"clips.csv lists {len(rows)} {split} clips but {archive.name} holds {len(offsets) - 1}")
    return [
        Clip(row["gloss"], row["signer"], points[offsets[int(row["clip"])] : offsets[int(row["clip"]) + 1]])
        for row in rows
    ]


def to_body(points: NDArray[np.floating], aspect: float = DEFAULT_ASPECT) -> NDArray[np.float32] | None:
    """Picture coordinates -> shoulder widths around the shoulder midpoint, by the clip's medians: (T, 75, 3).

    Only for joining clips into phrases, so that one signer's clips from different sittings fit together; the network's
    own normalisation runs on the joined phrase afterwards. None when no body is in the clip.
    """
    out = points.astype(np.float32)
    there = person_present(out)
    if not there.any():
        return None
    out[..., 0] *= aspect
    shoulders = out[there][:, [LEFT_SHOULDER, RIGHT_SHOULDER], :2]
    origin = np.median(shoulders.mean(axis=1), axis=0)
    unit = max(float(np.median(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1))), 0.02)
    out[..., :2] = (out[..., :2] - origin) / unit
    return out


def active_range(points: NDArray[np.floating]) -> tuple[int, int]:
    """First and one past the last frame with a hand in sight; the whole clip when there is none."""
    active = np.flatnonzero(hand_present(np.asarray(points, np.float32)).any(axis=1))
    return (int(active[0]), int(active[-1]) + 1) if len(active) else (0, len(points))
