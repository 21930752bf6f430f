"""Glosses to an English sentence: the one function the rest of the pipeline calls."""

from __future__ import annotations

from collections.abc import Sequence

from app.pipeline.module4_language.draft import Draft
from app.pipeline.module4_language.gloss_rules import clean_glosses, readable
from app.pipeline.module4_language.realise import finish_sentence
from app.pipeline.module4_language.rules import RULES


def to_english(glosses: Sequence[str], sign_language: str = "ase") -> str:
    """English for a row of glosses, capitalised and punctuated; one or more sentences.

    Args:
        glosses: signs in the order signed, in the usual notation (``IX-1``, ``FS-A``, ``ICE-CREAM``, ``BOOK++``); an
            item with white space counts as several. Unknown glosses come through in readable words.
        sign_language: ISO 639-3 code. There is a grammar for the keys of :data:`RULES`, "ase" (American) and "ins"
            (Indian Sign Language); of any other language the glosses come as readable words in the order signed, in
            whatever language they are written.

    Returns:
        The text, or "" when no gloss holds a letter or digit.
    """
    cleaned = clean_glosses(glosses)
    draft = Draft.of(cleaned)
    for rule in RULES.get(sign_language, ()):
        rule.apply(draft)
    return draft.text or finish_sentence(readable(" ".join(cleaned)), ".")
