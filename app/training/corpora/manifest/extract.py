"""Landmarks, and crops if wanted, of every video of a corpus: resumable, several at once, what fails is listed.

`python -m app extract FOLDER --workers N`; the same through Ray in `ray_extract`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import Keypoints, person_present
from app.pipeline.module1_preprocessing.crops import Cropper
from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, LandmarksUnavailable, find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import InvalidVideo
from app.pipeline.whole_files import write_whole
from app.training.corpora.manifest.cache import Cache, Content, PictureConfig, PictureTrack
from app.training.corpora.manifest.clip_files import frames_of
from app.training.corpora.manifest.manifest import Entry, read_manifest
from app.training.corpora.manifest.workers import WorkerDied, spread

REPORT = "extraction_report.json"
#: Seconds between two times that the hashes found so far are written down.
_SAVE_INDEX_S = 10.0


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """One clip to extract."""

    root: Path
    entry: Entry
    pictures: PictureConfig | None
    content: Content | None = None
    """What is known of its file already."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What became of a clip."""

    state: Literal["extracted", "cached", "failed"]
    frames: int = 0
    """Frames of the landmarks."""
    bodies: int = 0
    """Frames in which a body was found."""
    reason: str = ""
    """Why it failed."""
    content: Content | None = None


@dataclass
class Report:
    """The whole run, as it goes into extraction_report.json; lists hold the clips as the manifest names them."""

    extractor: str
    pictures: str | None
    clips: int = 0
    landmark_files: int = 0
    extracted: int = 0
    cached: int = 0
    frames: int = 0
    seconds: float = 0.0
    failed: list[dict[str, str]] = field(default_factory=list)
    nobody_seen: list[str] = field(default_factory=list)

    def add(self, entry: Entry, outcome: Extraction) -> None:
        if outcome.state == "failed":
            self.failed.append({"file": entry.part, "reason": outcome.reason})
        self.extracted += outcome.state == "extracted"
        self.cached += outcome.state == "cached"
        self.frames += outcome.frames
        if outcome.state == "extracted" and not outcome.bodies:
            self.nobody_seen.append(entry.part)

    def save(self, root: Path) -> None:
        """Writes the report whole or not at all; failures sorted by name, so that two runs compare."""
        self.failed.sort(key=lambda f: f["file"])
        self.nobody_seen.sort()
        write_whole(root / REPORT, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


Doing = Callable[[list[ExtractionJob]], Iterable[tuple[ExtractionJob, Extraction | WorkerDied]]]


def extract_corpus(
    root: Path,
    pictures: PictureConfig | None = None,
    workers: int = 1,
    on_clip: Callable[[int, int, Report], Any] | None = None,
    doing: Doing | None = None,
) -> Report:
    """Extract what is missing in the corpus `root` and write its report, also when it is interrupted.

    on_clip: called with the clips done, the clips in all, and the report so far. doing: what works through the jobs,
    default `workers` processes. Raises CorpusError for a manifest that cannot be used.
    """
    manifest = read_manifest(root)
    cache = Cache(root)
    # Landmark files are taken as they are.
    jobs = [ExtractionJob(root, e, pictures, cache.content(e)) for e in manifest.entries if not e.is_landmarks]
    report = Report(cache.version, pictures.name if pictures else None, clips=len(manifest.entries))
    report.landmark_files = len(manifest.entries) - len(jobs)
    began = saved = time.monotonic()
    results = iter(doing(jobs) if doing else spread(extract_clip, jobs, min(workers, len(jobs))) if jobs else ())
    try:
        for number, (job, result) in enumerate(results, start=1):
            outcome = Extraction("failed", reason=str(result)) if isinstance(result, WorkerDied) else result
            report.add(job.entry, outcome)
            if outcome.content is not None:
                cache.store_hash(job.entry, outcome.content)
            if on_clip is not None:
                on_clip(number, len(jobs), report)
            if time.monotonic() - saved > _SAVE_INDEX_S:
                cache.save_index()
                saved = time.monotonic()
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()  # ends the workers before anything else is done
        report.seconds = round(time.monotonic() - began, 1)
        remove_leftovers(cache.folder)
        if jobs:
            cache.save_index()
        report.save(root)
    return report


def remove_leftovers(folder: Path) -> None:
    """What a killed process had begun to write. Only for when no other process writes there."""
    for part in folder.glob(".*.part.npz"):
        part.unlink(missing_ok=True)


#: One landmark graph for a process; it is reset for every clip, and replaced after a failure.
_engine: MediaPipeEngine | None = None


def extract_clip(job: ExtractionJob) -> Extraction:
    """One clip, in this process: nothing to do where the cache has it. Never raises for what is wrong with a clip."""
    cache = Cache(job.root)
    if job.content is not None:
        cache.store_hash(job.entry, job.content)
    try:
        key = cache.key(job.entry)
        content = cache.content(job.entry)
        if (clip := cache.complete(key, job.pictures)) is not None:
            return Extraction("cached", len(clip), content=content)
        clip = _extract(job, cache, key)
    except (InvalidVideo, ExtractionFailed, LandmarksUnavailable, OSError, ValueError) as error:
        return Extraction("failed", reason=_reason(error))
    return Extraction("extracted", len(clip), int(person_present(clip.points).sum()), content=content)


def _extract(job: ExtractionJob, cache: Cache, key: str) -> Keypoints:
    """Extract a clip and save it. Raises what is wrong with it."""
    global _engine
    if _engine is None:
        _engine = MediaPipeEngine(1)
    cropper = Cropper(job.pictures.size, job.pictures.hands) if job.pictures else None
    crops: list[NDArray[np.uint8]] = []

    def keep(rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> None:
        if cropper is not None:
            crops.append(cropper.push(rgb, points))

    frames = frames_of(job.root / job.entry.file, job.entry)
    with closing(_engine.open()) as track:
        clip = find_landmarks(frames, track, keep)
    if not len(clip):
        raise ValueError("there is no frame in the part from start_s to end_s")
    pictures = (job.pictures, PictureTrack.of(crops)) if job.pictures else None
    cache.save(key, clip, pictures)
    return clip


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidVideo):
        return f"{error.code}: {error}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
