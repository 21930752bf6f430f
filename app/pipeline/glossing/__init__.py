"""English text to glosses: the inverse of module 4, by rules, for a vocabulary of signs that can be shown."""

from __future__ import annotations

from app.pipeline.glossing.glosses import Glosser, Glossing, Item, WordUse

__all__ = ["Glosser", "Glossing", "Item", "WordUse"]
