"""The signs corpus in memory: recordings of single signs, and what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, Keypoints, hand_present, joined_blocks
from app.training.corpora.tables import read_table
from app.training.errors import CorpusError

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


@dataclass(frozen=True, slots=True)
class SignClip:
    """One recording."""

    gloss: str
    """NONE = no sign."""
    signer: str
    points: NDArray[np.float16]
    """(T, 75, 3) as recorded, in image coordinates."""

    def keypoints(self, fps: float) -> Keypoints:
        """As if recorded at `fps`: the corpus does not say at which rate it was."""
        return Keypoints.at_rate(self.points.astype(np.float32), fps, DEFAULT_ASPECT)


def load_signs(root: Path, split: str) -> list[SignClip]:
    """Clips of one split ("train" or "dev") of the signs corpus. Raises CorpusError when the files are not there."""
    archive, table = root / f"{split}.npz", root / "clips.csv"
    if not archive.is_file() or not table.is_file():
        raise CorpusError(f"no signs corpus in {root}: expected {archive.name} and clips.csv there; pass --data FOLDER")
    with np.load(archive, allow_pickle=False) as z:
        pose, left, right, offsets = z["pose"], z["left"], z["right"], z["offsets"]
    points = joined_blocks(pose, left, right, np.float16)
    rows = [row for row in read_table(table, ("clip", "gloss", "signer", "split")) if row["split"] == split]
    if len(rows) != len(offsets) - 1:
        raise CorpusError(f"clips.csv lists {len(rows)} {split} clips but {archive.name} holds {len(offsets) - 1}")
    return [
        SignClip(row["gloss"], row["signer"], points[offsets[int(row["clip"])] : offsets[int(row["clip"]) + 1]])
        for row in rows
    ]


def active_range(points: NDArray[np.floating]) -> tuple[int, int]:
    """First and one past the last frame with a hand in sight; the whole clip when there is none."""
    active = np.flatnonzero(hand_present(np.asarray(points, np.float32)).any(axis=1))
    return (int(active[0]), int(active[-1]) + 1) if len(active) else (0, len(points))
