"""The manifest of a corpus, `clips.csv`: which files there are, what is signed in each, by whom, and for which split.

Columns: `file` (relative to the folder: a video, a folder of images, or landmarks), `glosses` (separated by blanks;
`-` where nothing is signed), `signer`, `split` (train, dev, test). Optional columns: `fps` (missing or empty: the
file's own), `start_s`, `end_s` (the part of the video that counts, seconds), `aspect` (true width / height of images
that were stored squeezed) and `sign_language` (ISO 639-3, one for the whole corpus: it decides the grammar of
sentences).
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.pipeline.module1_preprocessing.image_folder import SUFFIXES
from app.pipeline.whole_files import whole_file
from app.training.corpora.tables import read_table
from app.training.errors import CorpusError

TABLE = "clips.csv"
COLUMNS = ("file", "glosses", "signer", "split")
#: Columns of numbers that may be missing.
OPTIONAL = ("fps", "start_s", "end_s", "aspect")
LANGUAGE = "sign_language"
#: ISO 639-3 code for an unspecified language.
UNDETERMINED = "und"
SPLITS = ("train", "dev", "test")
#: What stands in `glosses` for a clip in which nothing is signed: an empty cell is more likely a mistake.
NOTHING = "-"
LANDMARK_SUFFIXES = frozenset({".npz", ".pose", ".json"})
#: Problems spelled out in one error; the rest are counted.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One clip."""

    file: str
    """Relative path with forward slashes."""
    glosses: tuple[str, ...]
    """What is signed, in order; () = nothing."""
    signer: str
    split: str
    """train, dev or test."""
    fps: float | None = None
    """None = the file's own."""
    start_s: float | None = None
    """Where the part that counts begins; None = with the file."""
    end_s: float | None = None
    """Where it ends; None = with the file."""
    aspect: float | None = None
    """True width / height of squeezed images; None = as stored."""

    @property
    def is_landmarks(self) -> bool:
        return PurePosixPath(self.file).suffix.lower() in LANDMARK_SUFFIXES

    @property
    def part(self) -> str:
        """Names the file and the part of it that counts: two clips may share a video."""
        whole = self.start_s is None and self.end_s is None
        return self.file if whole else f"{self.file} [{self.start_s or 0:g}-{'' if self.end_s is None else self.end_s}]"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest."""

    root: Path
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()
    """What is allowed but should be known, such as signers in several splits."""
    sign_language: str = UNDETERMINED
    """ISO 639-3, "und" where the table does not say."""

    def split(self, name: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.split == name]


def read_manifest(root: Path) -> Manifest:
    """Reads and checks `root`/clips.csv, and that each file is there and lies inside the folder, links followed.

    Raises CorpusError that lists every wrong row and says what to do.
    """
    path = root / TABLE
    columns = ",".join(COLUMNS)
    if not path.exists():
        raise CorpusError(
            f"no {TABLE} in {root}; write one with the columns {columns}, or make one from a known corpus: "
            "python -m app dataset import --help"
        )
    unreadable, lacking = ". It should be UTF-8 text, comma separated.", f"; the first line should be {columns}"
    rows = read_table(path, COLUMNS, unreadable, lacking)
    # The first line is the header, so the first clip stands in line 2, as editors and spreadsheets number it.
    problems: list[str] = []
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    languages: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        try:
            entry = entry_of(row)
            if language := language_of(row):
                languages.setdefault(language, line)
            _check_file(root, entry)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if entry.part in lines:
            problems.append(f"line {line}: {entry.part} stands in line {lines[entry.part]} already")
            continue
        lines[entry.part] = line
        entries.append(entry)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CorpusError(
            f"{path} has {len(problems)} lines that cannot be used:\n  " + "\n  ".join(problems[:_SHOWN]) + more + "\n"
            "Correct or remove these lines; paths are relative to the folder of the table."
        )
    if not any(entry.split == "train" for entry in entries):
        raise CorpusError(f"{path} has no clip of the split 'train', so nothing can be learned from it; add some")
    language = one_language(path, languages)
    return Manifest(root, tuple(entries), tuple(_warnings(entries, language)), language)


def require_split(manifest: Manifest, split: str) -> list[Entry]:
    """The clips of a split. Raises CorpusError when there are none."""
    entries = manifest.split(split)
    if not entries:
        there = sorted({entry.split for entry in manifest.entries})
        raise CorpusError(
            f"the split '{split}' of {manifest.root / TABLE} is empty (there are clips in: {', '.join(there)}); "
            f"write '{split}' into the column `split` of some clips, best all of some signers"
        )
    return entries


def write_manifest(root: Path, entries: Iterable[Entry], sign_language: str) -> None:
    """Writes `root`/clips.csv, whole or not at all; optional columns but `fps` only where a clip needs them."""
    entries = list(entries)
    extra = [c for c in OPTIONAL if c == "fps" or any(getattr(e, c) is not None for e in entries)]
    language = [] if sign_language == UNDETERMINED else [sign_language]
    root.mkdir(parents=True, exist_ok=True)
    with whole_file(root / TABLE) as part, part.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow([*COLUMNS, *extra, *([LANGUAGE] if language else [])])
        for e in entries:
            numbers = [getattr(e, c) for c in extra]
            writer.writerow(
                [e.file, " ".join(e.glosses) or NOTHING, e.signer, e.split]
                + ["" if n is None else f"{n:.10g}" for n in numbers]
                + language
            )


def shared_signers(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Signers with clips in more than one split, and those splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        splits[entry.signer].add(entry.split)
    return {s: sorted(where, key=SPLITS.index) for s, where in sorted(splits.items()) if len(where) > 1}


def _warnings(entries: Sequence[Entry], sign_language: str) -> list[str]:
    out = []
    if sign_language == UNDETERMINED:
        out.append(
            f"the table does not say which sign language it is, so a sentence will be its glosses in the order signed; "
            f"add the column {LANGUAGE} (ase for American Sign Language)"
        )
    shared = shared_signers(entries)
    if shared:
        named = ", ".join(f"{s} ({'+'.join(where)})" for s, where in list(shared.items())[:8])
        more = f" and {len(shared) - 8} more" if len(shared) > 8 else ""
        out.append(
            f"{len(shared)} signers have clips in several splits: {named}{more}. Figures on those splits do not say "
            "how well the recogniser reads people it has never seen."
        )
    known = {g for e in entries if e.split == "train" for g in e.glosses}
    for split in SPLITS[1:]:
        unknown = sorted({g for e in entries if e.split == split for g in e.glosses} - known)
        if unknown:
            listed = ", ".join(unknown[:8]) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
            out.append(f"{len(unknown)} glosses of {split} never occur in train and count as errors there: {listed}")
    return out


def entry_of(row: dict[str, str]) -> Entry:
    """A row of the table. Raises ValueError with what is wrong."""
    if None in row:
        raise ValueError("there are more cells than columns; a comma inside a cell needs quotes around it")
    if None in row.values():
        raise ValueError("there are fewer cells than columns")
    cells = {name: value.strip() for name, value in row.items()}
    file = cells["file"]
    if not file:
        raise ValueError("`file` is empty")
    pure = PurePosixPath(file)
    if pure.is_absolute() or ".." in pure.parts or "\\" in file or "\0" in file:
        raise ValueError(f"`file` {file!r} leaves the folder; give a path inside it, with forward slashes")
    if not cells["signer"]:
        raise ValueError("`signer` is empty; any name will do, but each person needs one")
    if cells["split"] not in SPLITS:
        raise ValueError(f"`split` is {cells['split']!r}; it should be {', '.join(SPLITS)}")
    if not cells["glosses"]:
        raise ValueError(f"`glosses` is empty; write what is signed, or {NOTHING} where nothing is")
    glosses = () if cells["glosses"] == NOTHING else tuple(cells["glosses"].split())
    numbers = {c: _number(c, cells.get(c, "")) for c in OPTIONAL}
    if numbers["fps"] is not None and not 1 <= numbers["fps"] <= 240:
        raise ValueError(f"`fps` is {numbers['fps']:g}; it should lie between 1 and 240")
    if numbers["aspect"] is not None and not 0.1 <= numbers["aspect"] <= 10:
        raise ValueError(f"`aspect` is {numbers['aspect']:g}; width / height lies between 0.1 and 10")
    start, end = numbers["start_s"] or 0.0, numbers["end_s"]
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"the part from {start:g} s to {end} s is empty")
    return Entry(str(pure), glosses, cells["signer"], cells["split"], **numbers)


def language_of(row: dict[str, str]) -> str:
    """The code in the row, "" where there is none. Raises ValueError for what cannot be one."""
    code = (row.get(LANGUAGE) or "").strip()
    if code and not re.fullmatch(r"[a-z]{3}", code):
        raise ValueError(f"`{LANGUAGE}` is {code!r}; it should be an ISO 639-3 code: ase (American), gsg (German), ...")
    return "" if code == UNDETERMINED else code


def one_language(table: Path, lines: Mapping[str, int]) -> str:
    """The sign language of a table, "und" where it names none. lines: of its codes, where each stands first.

    Raises CorpusError for several.
    """
    if len(lines) > 1:
        named = ", ".join(f"{language} (line {line})" for language, line in lines.items())
        raise CorpusError(
            f"{table} has clips in several sign languages: {named}. A recogniser reads one: split the corpus"
        )
    return next(iter(lines), UNDETERMINED)


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"`{name}` is {text!r}, which is not a number")
    return value


def _check_file(root: Path, entry: Entry) -> None:
    path = root / entry.file
    if not path.exists():
        raise ValueError(f"{entry.file} is missing")
    if not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{entry.file} is a link that leads out of the folder; copy the file into it")
    if path.is_dir() and not any(p.suffix.lower() in SUFFIXES for p in path.iterdir()):
        raise ValueError(f"{entry.file} is a folder without pictures ({', '.join(sorted(SUFFIXES))})")
