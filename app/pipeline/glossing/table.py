"""The table of English words, read: what may stand for each word or row of words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

#: Glosses in a row, and the rows that may stand for a word, the best first.
Row = tuple[str, ...]
Choices = tuple[Row, ...]

_DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_name("table.toml").read_text(encoding="utf-8"))


def _choices(text: str) -> Choices:
    return tuple(tuple(row.split()) for row in text.split("|")) if text else ()


def _read(name: str) -> dict[str, Choices]:
    return {words: _choices(text) for words, text in _DATA[name].items()}


_DROPPED = {name: frozenset(text.split()) for name, text in _DATA["dropped"].items()}
ARTICLES, BE, HELPING = _DROPPED["articles"], _DROPPED["be"], _DROPPED["helping"]
PREPOSITIONS = _DROPPED["prepositions"]
DROPPED = frozenset().union(*_DROPPED.values())
HAVE = frozenset({"have", "has", "had"})
KEPT = _read("kept")
PERSONS, POSSESSIVES, DEMONSTRATIVES = _read("persons"), _read("possessives"), _read("demonstratives")
MODALS, NEGATIONS, WH, CONJUNCTIONS = _read("modals"), _read("negations"), _read("wh"), _read("conjunctions")
#: By their words, "be" for all its forms.
OPENERS, PHRASES = (
    {
        " ".join("be" if word in BE else word for word in words.split()): choices
        for words, choices in _read(name).items()
    }
    for name in ("openers", "phrases")
)
SYNONYMS: dict[str, str] = {word: gloss for gloss, text in _DATA["synonyms"].items() for word in text.split()}
