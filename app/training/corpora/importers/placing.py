"""How files of a published corpus get into a dataset's folder: left where they are, hard-linked, or copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from app.pipeline.whole_files import whole_file
from app.training.errors import CorpusError

EXTRACT = "python -m app extract {out} --workers 4"
TRAIN = "python -m app train --config configs/NAME.yaml --data {out} --out runs/NAME"


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import."""

    clips: int
    """Number of clips in the dataset."""
    left_out: tuple[str, ...]
    """Clips of the corpus that are not in the dataset, each with the reason."""
    next_step: str
    """The command to run next."""


class Placer:
    """Puts files of `source` into `out` under the same relative path; nothing is done where `out` is `source`.

    A hard link takes no space, and unlike a symbolic one it does not lead out of the dataset.
    """

    def __init__(self, source: Path, out: Path) -> None:
        self.source, self.out = source, out
        self.in_place = source.resolve() == out.resolve()
        if not self.in_place and out.resolve().is_relative_to(source.resolve()):
            raise CorpusError(f"{out} lies inside {source}; choose an --out beside it, or --out {source} itself")

    def place(self, path: Path) -> str:
        """A file or folder of the source, now in the dataset; returns its path there, relative, forward slashes.

        Raises CorpusError for what leads out of the source.
        """
        if not path.resolve().is_relative_to(self.source.resolve()):
            raise CorpusError(f"{path} leads out of {self.source}; a corpus may only name its own files")
        relative = path.relative_to(self.source)
        if not self.in_place:
            files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
            target = self.out / relative
            (target if path.is_dir() else target.parent).mkdir(parents=True, exist_ok=True)
            for file in files:
                _link(file, self.out / file.relative_to(self.source))
        return relative.as_posix()


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        with whole_file(target) as part:
            shutil.copyfile(source, part)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when all went well and leaves nothing behind when not.

    `out` must not exist, or be empty.
    """
    if out.exists() and any(out.iterdir()):
        raise CorpusError(f"{out} is not empty; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    part.chmod(0o755)
    try:
        yield part
        if out.exists():
            out.rmdir()
        os.replace(part, out)
    finally:
        if part.exists():
            shutil.rmtree(part)
