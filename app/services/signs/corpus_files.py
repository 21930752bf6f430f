"""The corpora of given recordings as folders that training reads as they are: landmarks, and a manifest of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from app.pipeline.whole_files import whole_file, write_whole
from app.training.corpora.manifest.manifest import TABLE, Entry, write_manifest

#: How the folder of a sign language's corpus begins.
OWN = "own-"
_RECORDINGS, _MARK, _README = "recordings", "corpus.json", "README.md"
_ABOUT = """# Recordings that people gave for training

Written by the service from its database, and kept as that is: recordings that are taken back disappear from here. So
train from this folder and keep no copies of it. Landmarks alone; `signer` is a pseudonym, and each person is in one
split. docs/training.md says how to train with it.
"""


class NotOurs(OSError):
    """The folder belongs to another database."""


@dataclass(frozen=True, slots=True)
class Given:
    """A recording of a corpus."""

    id: UUID
    gloss: str
    signer: str
    """Pseudonym."""
    split: str


def folder_of(root: Path, sign_language: str) -> Path:
    """That of a sign language's corpus."""
    return root / f"{OWN}{sign_language}"


def missing_in(folder: Path, recordings: Sequence[Given]) -> list[UUID]:
    """Those whose landmarks are not there yet."""
    return [given.id for given in recordings if not _file(folder, given.id).is_file()]


def write(
    folder: Path, mark: UUID, sign_language: str, recordings: Sequence[Given], landmarks: Mapping[UUID, bytes]
) -> None:
    """Make the folder hold these recordings and no others. landmarks: .npz of those that are missing in it.

    What goes, goes first. Raises OSError, NotOurs.
    """
    _check_mark(folder, mark)
    keep = {_file(folder, given.id).name for given in recordings}
    old = [path for path in _files(folder) if path.name not in keep]
    if not recordings:
        _forget(folder, old)
        return
    (folder / _RECORDINGS).mkdir(parents=True, exist_ok=True)
    if not (folder / _MARK).is_file():
        write_whole(folder / _MARK, json.dumps({"mark": str(mark)}) + "\n")
        write_whole(folder / _README, _ABOUT)
    for recording, data in landmarks.items():
        with whole_file(_file(folder, recording)) as part:
            part.write_bytes(data)
    # A table never names a file that is gone: it changes between what comes and what goes.
    entries = [
        Entry(f"{_RECORDINGS}/{given.id}.npz", (given.gloss,), given.signer, given.split)
        for given in sorted(recordings, key=lambda given: (given.signer, given.gloss, str(given.id)))
    ]
    write_manifest(folder, entries, sign_language)
    _delete(old)


def _forget(folder: Path, files: Sequence[Path]) -> None:
    for name in (TABLE, _README):
        (folder / name).unlink(missing_ok=True)
    _delete(files)
    (folder / _MARK).unlink(missing_ok=True)
    for empty in (folder / _RECORDINGS, folder):
        with contextlib.suppress(OSError):  # not there, or somebody put something into it
            empty.rmdir()


def _delete(files: Sequence[Path]) -> None:
    """All that can be; raises the first OSError after them."""
    problem: OSError | None = None
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            problem = problem or error
    if problem is not None:
        raise problem


def _check_mark(folder: Path, mark: UUID) -> None:
    try:
        found = json.loads((folder / _MARK).read_text(encoding="utf-8"))["mark"]
    except FileNotFoundError:
        if any(_files(folder)) or (folder / TABLE).exists():
            raise NotOurs(f"{folder.name} in DATASETS_DIR is another corpus; rename it") from None
        return
    except (ValueError, KeyError, TypeError) as problem:
        raise NotOurs(f"{folder.name}/{_MARK} in DATASETS_DIR is damaged ({problem})") from problem
    if found != str(mark):
        raise NotOurs(f"{folder.name} in DATASETS_DIR belongs to another service; give this one a folder of its own")


def _file(folder: Path, recording: UUID) -> Path:
    return folder / _RECORDINGS / f"{recording}.npz"


def _files(folder: Path) -> Iterator[Path]:
    where = folder / _RECORDINGS
    return (path for path in where.iterdir() if path.suffix == ".npz") if where.is_dir() else iter(())
