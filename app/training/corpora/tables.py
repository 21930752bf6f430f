"""CSV tables of corpora, read with their faults named."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from app.training.errors import CorpusError


def read_table(
    path: Path, columns: Collection[str], unreadable: str = "", lacking: str = "", separator: str = ","
) -> list[dict[str, str]]:
    """The rows of a table in UTF-8 that has these columns. Quotes count where commas separate the cells.

    A row with fewer cells than columns has None for the rest, one with more has them under None. Raises CorpusError
    with `unreadable` or `lacking` behind what is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(
                f, delimiter=separator, quoting=csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
            )
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"cannot read {path}: {error}{unreadable}") from error
    if missing:
        raise CorpusError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}{lacking}")
    return rows
