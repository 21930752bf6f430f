"""Where extracted landmarks and crops lie: beside the corpus, named by what the file holds and by who extracted it.

`<corpus>/landmarks/<extractor version>/<key>.npz`, and `<key>.pictures-112.npz` for crops of 112 pixels.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.crops import num_views
from app.pipeline.module1_preprocessing.image_folder import image_files
from app.pipeline.module1_preprocessing.landmark_files import InvalidLandmarkFile, load_landmarks, save_npz
from app.pipeline.module1_preprocessing.landmarks.mediapipe import extractor_version
from app.pipeline.whole_files import whole_file, write_whole
from app.training.corpora.manifest.manifest import Entry

if TYPE_CHECKING:  # extraction does without PyTorch, in every worker process
    from app.pipeline.module3_sequence.model import RGBConfig

FOLDER = "landmarks"
#: Of the cached crops; chroma is kept whole, because at this size a finger is two pixels wide.
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """Crops to keep beside the landmarks: side in pixels, and whether each hand gets one too."""

    size: int
    hands: bool = False

    @classmethod
    def of(cls, rgb: RGBConfig | None) -> PictureConfig | None:
        """What this RGB stream reads; None where there is none."""
        return cls(rgb.size, rgb.hands) if rgb is not None else None

    @property
    def name(self) -> str:
        return f"pictures-{self.size}{'-hands' if self.hands else ''}"


@dataclass(frozen=True, slots=True)
class PictureTrack:
    """Crops of a clip as JPEG, frame by frame, `views` each."""

    data: NDArray[np.uint8]
    """All JPEG files, one after the other."""
    offsets: NDArray[np.int64]
    """Where each file begins, and the end of the last."""
    views: int
    """Crops of each frame."""
    size: int
    """Side of the crops in pixels."""

    def __len__(self) -> int:
        return (len(self.offsets) - 1) // self.views

    @classmethod
    def of(cls, frames: Sequence[NDArray[np.uint8]]) -> PictureTrack:
        """From uint8 (views, size, size, 3) of each frame. Raises ValueError without a frame."""
        if not frames:
            raise ValueError("a clip without frames has no pictures")
        count, size = frames[0].shape[:2]
        pieces = [
            simplejpeg.encode_jpeg(np.ascontiguousarray(view), quality=JPEG_QUALITY, colorsubsampling="444")
            for frame in frames
            for view in frame
        ]
        offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
        return cls(np.frombuffer(b"".join(pieces), np.uint8), offsets, count, size)

    @classmethod
    def load(cls, path: Path) -> PictureTrack | None:
        """What `Cache.save` wrote; None where it is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as z:
                data, offsets, (count, size) = z["data"], z["offsets"], z["shape"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        whole = len(offsets) > 1 and offsets[-1] == len(data) and count > 0 and (len(offsets) - 1) % count == 0
        return cls(data, offsets, count, size) if whole else None

    def decode(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Frames by number, any order and repeats: (n,) -> uint8 (n, views, size, size, 3)."""
        wanted, back = np.unique(frames, return_inverse=True)
        out = np.empty((len(wanted), self.views, self.size, self.size, 3), np.uint8)
        for row, frame in zip(out, wanted.tolist(), strict=True):
            for view in range(self.views):
                place = frame * self.views + view
                row[view] = simplejpeg.decode_jpeg(self.data[self.offsets[place] : self.offsets[place + 1]].tobytes())
        return out[back]


class Content(NamedTuple):
    """A file or a folder of images as it was when it was hashed."""

    size: int
    """Bytes in all."""
    changed_ns: int
    """Latest modification time."""
    files: int
    """Number of files."""
    sha256: str
    """Hash of the content."""


class Cache:
    """The landmarks and crops of one corpus. Several processes may write at once: files appear only when whole."""

    def __init__(self, root: Path) -> None:
        self.root, self.version = root, extractor_version()
        self.folder = root / FOLDER / self.version
        self._index_path = root / FOLDER / "contents.json"
        self._index = _read_index(self._index_path)

    def key(self, entry: Entry) -> str:
        """Names the clip by content: of the file or of the folder's pictures, and of what the manifest says of it.

        The hash of a file is cached by its size and modification time. Raises OSError.
        """
        path = self.root / entry.file
        size, changed_ns, files = _stamp(path)
        known = self._index.get(entry.file)
        if known is None or known[:3] != (size, changed_ns, files):
            known = self._index[entry.file] = Content(size, changed_ns, files, _digest(path))
        details = f"{entry.fps}|{entry.start_s}|{entry.end_s}|{entry.aspect}"
        return f"{known.sha256[:40]}-{hashlib.sha256(details.encode()).hexdigest()[:8]}"

    def content(self, entry: Entry) -> Content | None:
        """What is known of a file, for another process to `store_hash`; None if its key was never computed."""
        return self._index.get(entry.file)

    def store_hash(self, entry: Entry, content: Content) -> None:
        self._index[entry.file] = content

    def save_index(self) -> None:
        """Keeps the hashes for the next run. Raises OSError."""
        self._index_path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._index_path, json.dumps(self._index), str(os.getpid()))

    def landmarks_path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def pictures_path(self, key: str, config: PictureConfig) -> Path:
        return self.folder / f"{key}.{config.name}.npz"

    def save(self, key: str, clip: Keypoints, pictures: tuple[PictureConfig, PictureTrack] | None) -> None:
        """Raises OSError; then nothing half-written is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        writer = str(os.getpid())
        if pictures is not None:
            config, track = pictures
            with whole_file(self.pictures_path(key, config), writer) as part:
                np.savez(part, data=track.data, offsets=track.offsets, shape=np.array([track.views, track.size]))
        # Last, because landmarks without their pictures are useful and pictures without landmarks are not.
        with whole_file(self.landmarks_path(key), writer) as part:
            save_npz(part, clip)

    def load(self, key: str) -> Keypoints | None:
        """The landmarks of a clip; None where they are missing. Raises InvalidLandmarkFile for a damaged file."""
        path = self.landmarks_path(key)
        return load_landmarks(path) if path.is_file() else None

    def load_pictures(self, key: str, config: PictureConfig) -> PictureTrack | None:
        """The crops of a clip; None where they are missing, damaged or others: then they are to be extracted again."""
        track = PictureTrack.load(self.pictures_path(key, config))
        fits = track is not None and (track.views, track.size) == (num_views(config.hands), config.size)
        return track if fits else None

    def complete(self, key: str, pictures: PictureConfig | None) -> Keypoints | None:
        """The landmarks where there is nothing to extract. The files are read: damaged ones must be extracted again."""
        try:
            clip = self.load(key)
        except (InvalidLandmarkFile, OSError):
            return None
        return clip if pictures is None or self.load_pictures(key, pictures) is not None else None


def _read_index(path: Path) -> dict[str, Content]:
    """Empty where it is missing or damaged: hashes can be made again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Content])
    except (OSError, msgspec.DecodeError):
        return {}


def _stamp(path: Path) -> tuple[int, int, int]:
    """Size, time of change and number of files."""
    files = image_files(path) if path.is_dir() else [path]
    states = [file.stat() for file in files]
    return sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0), len(states)


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's pictures."""
    if not path.is_dir():
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in image_files(path):
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
