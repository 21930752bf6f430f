"""A folder of `.pose` files (the pose-format library, MediaPipe Holistic) and a table that says what they show.

`labels.csv`: the manifest's columns file, glosses, signer, split, and optionally sign_language; others are
ignored.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from app.pipeline.module1_preprocessing.landmark_files import InvalidLandmarkFile, load_landmarks
from app.training.corpora.importers.placing import TRAIN, Imported, Placer
from app.training.corpora.manifest.manifest import NOTHING, SPLITS, Entry, language_of, one_language, write_manifest
from app.training.errors import CorpusError

LABELS = "labels.csv"


def import_pose_files(source: Path, out: Path) -> Imported:
    """Every file is read once; those without MediaPipe's body and hands are left out. Raises CorpusError."""
    try:
        with (source / LABELS).open(newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(f)
            missing = [c for c in ("file", "glosses", "signer", "split") if c not in (reader.fieldnames or [])]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"cannot read {source / LABELS}: {error}. .pose files do not say what is signed: write a table with the "
            "columns file,glosses,signer,split"
        ) from error
    if missing:
        raise CorpusError(f"{source / LABELS} lacks the columns {', '.join(missing)}")
    sign_language = _language(source / LABELS, rows)
    placer = Placer(source, out)
    entries: list[Entry] = []
    left_out: list[str] = []
    for row in rows:
        name = (row["file"] or "").strip()
        path = source / name
        if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            left_out.append(f"{name!r}: leads out of the folder")
            continue
        try:
            load_landmarks(path)
        except (InvalidLandmarkFile, OSError) as error:
            left_out.append(f"{name}: {error}")
            continue
        said = (row["glosses"] or "").strip()
        glosses = () if said == NOTHING else tuple(said.split())
        if not glosses and said != NOTHING:
            left_out.append(f"{name}: no glosses; write {NOTHING} where nothing is signed")
            continue
        signer, split = (row["signer"] or "").strip(), (row["split"] or "").strip()
        if not signer or split not in SPLITS:
            left_out.append(f"{name}: signer {signer!r}, split {split!r}; both are needed, the split of {SPLITS}")
            continue
        entries.append(Entry(placer.place(path), glosses, signer, split))
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
