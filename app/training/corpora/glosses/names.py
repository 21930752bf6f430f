"""Which gloss a label of WLASL stands for: synonyms joined by a table that was read, letters left out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("synonyms.txt")
_LEFT_OUT = Path(__file__).with_name("left_out.txt")

#: Glosses of `signs` that were recorded as one clip but are several signs.
PARTS = {
    "HOW-ARE-YOU": ("HOW", "YOU"),
    "NICE-TO-MEET-YOU": ("NICE", "MEET", "YOU"),
    "GOOD-MORNING": ("GOOD", "MORNING"),
}
#: A clip without a sign.
NONE = "NONE"


@cache
def synonyms() -> dict[str, str]:
    """Label of WLASL (lower case) -> gloss, for the labels in the table. Raises ValueError for a bad line."""
    table: dict[str, str] = {}
    for number, line in enumerate(_TABLE.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        gloss, colon, labels = line.partition(":")
        for label in labels.split(","):
            if not colon or not label.strip() or label.strip() in table:
                raise ValueError(f"{_TABLE.name}, line {number}: expected 'GLOSS: label, label', each label once")
            table[label.strip()] = gloss.strip()
    return table


@cache
def left_out() -> frozenset[str]:
    """Glosses that no network is trained on, to measure what becomes of unknown signs."""
    lines = _LEFT_OUT.read_text(encoding="utf-8").splitlines()
    return frozenset(gloss for line in lines if not line.startswith("#") for gloss in line.split())


def gloss_of(label: str) -> str | None:
    """The gloss for a label of WLASL; None for letters, which are not signs."""
    if len(label) == 1:
        return None
    return synonyms().get(label, label.upper().replace(" ", "-").replace("'", ""))


def signs_of(gloss: str) -> tuple[str, ...]:
    """The signs that a clip with this gloss shows: none for NONE, the parts of a phrase."""
    return () if gloss == NONE else PARTS.get(gloss, (gloss,))
