"""A folder of `.pose` files (the pose-format library, MediaPipe Holistic) and a table that says what they show.

`labels.csv`: the manifest's columns file, glosses, signer, split, and optionally sign_language; others are
ignored.
"""

from __future__ import annotations

from pathlib import Path

from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
from app.training.corpora.importers.placing import TRAIN, Imported, Placer
from app.training.corpora.manifest.manifest import (
    COLUMNS,
    Entry,
    entry_of,
    language_of,
    one_language,
    write_manifest,
)
from app.training.corpora.tables import read_table
from app.training.errors import CorpusError

LABELS = "labels.csv"


def import_pose_files(source: Path, out: Path) -> Imported:
    """Every file is read once; those without MediaPipe's body and hands are left out. Raises CorpusError."""
    columns = ",".join(COLUMNS)
    unreadable = f". .pose files do not say what is signed: write a table with the columns {columns}"
    rows = read_table(source / LABELS, COLUMNS, unreadable)
    sign_language = _language(source / LABELS, rows)
    placer = Placer(source, out)
    entries: list[Entry] = []
    left_out: list[str] = []
    for row in rows:
        try:
            entry = entry_of({name: row[name] for name in COLUMNS})
            load_landmarks(source / entry.file)
        except (ValueError, OSError) as error:
            left_out.append(f"{row['file']}: {error}")
            continue
        placer.place(source / entry.file)
        entries.append(entry)
    if not entries:
        raise CorpusError(f"no file of {source / LABELS} can be used: {'; '.join(left_out[:3]) or 'it is empty'}")
    write_manifest(out, entries, sign_language=sign_language)
    return Imported(len(entries), tuple(left_out), TRAIN.format(out=out))


def _language(table: Path, rows: list[dict[str, str]]) -> str:
    lines: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        try:
            code = language_of(row)
        except ValueError as error:
            raise CorpusError(f"{table}, line {line}: {error}") from error
        if code:
            lines.setdefault(code, line)
    return one_language(table, lines)
