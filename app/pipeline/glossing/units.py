"""What a sentence consists of on its way from English to glosses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from app.pipeline.glossing.words import Word

Kind = Literal[
    "content", "spelled", "number", "time", "wh", "opener", "person", "possessive", "demonstrative", "modal",
    "negation", "please", "perfect", "future", "conjunction", "and", "be", "helping", "dropped", "break", "added",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """A word, or several that mean something together."""

    kind: Kind
    words: tuple[Word, ...]
    row: tuple[str, ...] | None = ()
    """Signs; empty: it is not signed; None: it has no sign and is shown as text."""

    @property
    def low(self) -> str:
        return " ".join(word.low for word in self.words)

    @property
    def shown(self) -> bool:
        return self.row is None or bool(self.row)

    def _or(self, otherwise: tuple[str, ...] | None) -> Unit:
        """With this instead of no sign."""
        return replace(self, row=otherwise) if self.row is None else self
