"""The clips of a manifest in memory, on the model's frame grid; and which cannot be used, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import person_present
from app.pipeline.module1_preprocessing.landmark_files import InvalidLandmarkFile
from app.pipeline.module1_preprocessing.resample import nearest_frames, resample
from app.pipeline.module3_sequence.losses import steps_needed
from app.pipeline.module3_sequence.steps import steps_in
from app.training.corpora.manifest.cache import Cache, PictureConfig, PictureTrack
from app.training.corpora.manifest.clip_files import landmarks_of
from app.training.corpora.manifest.extract import REPORT
from app.training.corpora.manifest.manifest import Entry, Manifest
from app.training.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on the model's frame grid."""

    entry: Entry
    points: NDArray[np.float32]
    """(T, 75, 3) at 25 fps in image coordinates, T >= 1."""
    aspect: float
    """Image width / height."""
    source: NDArray[np.int64]
    """(T,) the frame of the file that each frame is nearest to."""
    crops: Path | None = None
    """Where its crops lie; None for landmarks alone."""

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip that is not used, and why."""

    entry: Entry
    why: str

    def to_dict(self) -> dict[str, str]:
        return {"file": self.entry.part, "split": self.entry.split, "why": self.why}


@dataclass
class Clips:
    """What of a manifest can be used."""

    usable: list[Clip] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    missing: list[Entry] = field(default_factory=list)
    """Videos whose landmarks, or crops, were not extracted yet."""

    def split(self, name: str) -> list[Clip]:
        return [clip for clip in self.usable if clip.entry.split == name]


def load_clips(manifest: Manifest, entries: Sequence[Entry], pictures: PictureConfig | None = None) -> Clips:
    """Landmarks of the given clips: of landmark files as they are, of videos as they were extracted.

    A clip that extraction could not read, one that is damaged, and one without a person are left out.
    """
    cache = Cache(manifest.root)
    failed = _failures(manifest.root)
    clips = Clips()
    for entry in entries:
        try:
            found = _load(manifest.root, entry, cache, pictures)
        except (InvalidLandmarkFile, OSError) as error:
            clips.left_out.append(LeftOut(entry, f"the landmarks cannot be read: {error}"))
            continue
        if found is None and entry.part in failed:
            clips.left_out.append(LeftOut(entry, f"extraction failed: {failed[entry.part]}"))
        elif found is None:
            clips.missing.append(entry)
        elif not person_present(found.points).any():
            clips.left_out.append(LeftOut(entry, "no person was found in it"))
        else:
            clips.usable.append(found)
    return clips


def require_landmarks(manifest: Manifest, clips: Clips, pictures: PictureConfig | None) -> None:
    """Raises CorpusError with the command to run when something was not extracted yet."""
    if not clips.missing:
        return
    options = f" --pictures {pictures.size}{' --hands' if pictures.hands else ''}" if pictures else ""
    what = "landmarks or crops" if pictures else "landmarks"
    raise CorpusError(
        f"{len(clips.missing)} of {len(manifest.entries)} clips have no {what} yet (first: {clips.missing[0].part}). "
        f"Run: python -m app extract {manifest.root}{options}"
    )


def too_long_for_ctc(frames: int, labels: list[int]) -> str | None:
    """Why CTC cannot emit these labels in `frames` frames; None if it can."""
    steps, needed = steps_in(frames), steps_needed(labels)
    if steps >= needed:
        return None
    repeats = needed - len(labels)
    return f"{len(labels)} glosses with {repeats} repeats need {needed} steps, {frames} frames give {steps}"


def learnable(clips: Sequence[Clip], label: dict[str, int]) -> tuple[list[Clip], list[LeftOut]]:
    """The clips that can be trained on with these label ids, and the others."""
    usable, left_out = [], []
    for clip in clips:
        others = sorted(set(clip.entry.glosses) - label.keys())
        if others:
            left_out.append(LeftOut(clip.entry, f"{', '.join(others)} is not in this run's glosses"))
        elif why := too_long_for_ctc(len(clip), [label[g] for g in clip.entry.glosses]):
            left_out.append(LeftOut(clip.entry, why))
        else:
            usable.append(clip)
    return usable, left_out


def _load(root: Path, entry: Entry, cache: Cache, pictures: PictureConfig | None) -> Clip | None:
    crops: Path | None = None
    if entry.is_landmarks:
        if pictures is not None:
            raise InvalidLandmarkFile("missing_array", "the run wants pictures, and this clip is landmarks alone")
        keypoints = landmarks_of(root / entry.file, entry)
    else:
        key = cache.key(entry)
        found = cache.load(key)
        if found is None:
            return None
        keypoints = found
        if pictures is not None:
            crops = cache.pictures_path(key, pictures)
            if not crops.is_file():
                return None
    points = resample(keypoints)
    if not len(points):
        raise InvalidLandmarkFile("empty", "there is no frame in it")
    return Clip(entry, points, keypoints.aspect, nearest_frames(keypoints.times), crops)


def _failures(root: Path) -> dict[str, str]:
    """Clips that the last extraction could not read, with the reason; {} where there was none."""
    try:
        report = json.loads((root / REPORT).read_text(encoding="utf-8"))
        return {str(f["file"]): str(f["reason"]) for f in report["failed"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def pictures_of(clip: Clip, frames: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Crops of the clip's frames, or of some of them in any order: uint8 (n, views, size, size, 3).

    Raises CorpusError when the file is gone or damaged.
    """
    assert clip.crops is not None
    track = PictureTrack.load(clip.crops)
    source = clip.source if frames is None else clip.source[frames]
    if track is None or len(track) <= int(source.max()):
        raise CorpusError(
            f"the crops of {clip.entry.part} in {clip.crops.name} are gone or damaged; extract the corpus again"
        )
    return track.decode(source)


def glosses_of(clips: Sequence[Clip]) -> Iterator[str]:
    for clip in clips:
        yield from clip.entry.glosses
