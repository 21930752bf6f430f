"""Module 4: glosses -> sentence."""

from __future__ import annotations

from app.pipeline.module4_language.draft import Rule
from app.pipeline.module4_language.inflection import warm_up
from app.pipeline.module4_language.rules import RULES
from app.pipeline.module4_language.translate import to_english

__all__ = ["RULES", "Rule", "to_english", "warm_up"]
