"""RWTH-PHOENIX-Weather 2014 and 2014 T: weather forecasts in German Sign Language, frames as PNG folders.

Layout of phoenix-2014.v3 (folders phoenix-2014-multisigner, phoenix-2014-signerindependent-SI5) and of
PHOENIX-2014-T-release-v3: `annotations/manual/*.corpus.csv`, separated by `|`, and `features/fullFrame-210x260px/`.
The README of the corpora says that transmission squeezed the pictures and that 210x300 is their true shape; the
manifest's `aspect` says so, and extraction stretches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.pipeline.module1_preprocessing.image_folder import SUFFIXES
from app.training.corpora.importers.placing import EXTRACT, Imported, Placer
from app.training.corpora.manifest.manifest import SPLITS, Entry, write_manifest
from app.training.corpora.tables import read_table
from app.training.errors import CorpusError

FPS = 25.0
TRUE_ASPECT = 210 / 300
_FRAMES = Path("features") / "fullFrame-210x260px"


@dataclass(frozen=True)
class Layout:
    """Names of one release: tables tried in this order, and its columns for name, frames, signer, glosses."""

    name: str
    roots: tuple[str, ...]
    tables: tuple[str, ...]
    columns: tuple[str, str, str, str]


#: The multi-signer or the SI5 split, whichever lies in the folder (or directly under it).
PHOENIX2014 = Layout(
    "Phoenix-2014",
    (".", "phoenix-2014-multisigner", "phoenix-2014-signerindependent-SI5"),
    ("{split}.corpus.csv", "{split}.SI5.corpus.csv"),
    ("id", "folder", "signer", "annotation"),
)
#: Glosses (`orth`) only; the German translations are not used.
PHOENIX2014T = Layout(
    "Phoenix-2014T",
    (".", "PHOENIX-2014-T"),
    ("PHOENIX-2014-T.{split}.corpus.csv",),
    ("name", "video", "speaker", "orth"),
)


def import_phoenix(layout: Layout, source: Path, out: Path) -> Imported:
    """Raises CorpusError."""
    tables = _tables(layout, source)
    placer = Placer(source, out)
    entries: list[Entry] = []
    left_out: list[str] = []
    for split, table in tables.items():
        root = table.parents[2]
        for row in read_table(table, layout.columns, lacking=f"; is it {layout.name}?", separator="|"):
            name, pattern, signer, glosses = ((row[c] or "").strip() for c in layout.columns)
            folder = _frame_folder(root / _FRAMES / split, name, pattern)
            if folder is None:
                left_out.append(f"{split}/{name}: no frames")
            elif not glosses:
                left_out.append(f"{split}/{name}: no glosses")
            else:
                file = placer.place(folder)
                entries.append(Entry(file, tuple(glosses.split()), signer, split, FPS, aspect=TRUE_ASPECT))
    if not any(e.split == "train" for e in entries):
        raise CorpusError(
            f"not one training clip of {source} has its frames; they belong in {_FRAMES}/train/NAME, "
            f"for example {left_out[0] if left_out else 'nothing is listed in the tables'}"
        )
    write_manifest(out, entries, sign_language="gsg")
    return Imported(len(entries), tuple(left_out), EXTRACT.format(out=out))


def _tables(layout: Layout, source: Path) -> dict[str, Path]:
    """The table of each split. Raises CorpusError unless train and dev are there."""
    for root in layout.roots:
        for pattern in layout.tables:
            folder = source / root / "annotations" / "manual"
            found = {split: folder / pattern.format(split=split) for split in SPLITS}
            found = {split: table for split, table in found.items() if table.is_file()}
            if {"train", "dev"} <= found.keys():
                return found
    wanted = layout.tables[0].format(split="train")
    raise CorpusError(
        f"{source} is not laid out like {layout.name}: expected annotations/manual/{wanted} and the same for dev, "
        "there or in the release's own folder below it"
    )


def _frame_folder(split: Path, name: str, pattern: str) -> Path | None:
    """Where the frames lie: as the table says (NAME/1/*.png), or without the 1, as in the release of 2014 T."""
    for folder in (split / Path(pattern).parent, split / name / "1", split / name):
        if folder != split and folder.is_dir() and any(p.suffix.lower() in SUFFIXES for p in folder.iterdir()):
            return folder
    return None
