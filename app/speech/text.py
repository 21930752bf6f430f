"""Text before it is spoken or translated: without control characters, split into sentences, guessed language."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
#: The end of a sentence: its mark, closing quotes and brackets, then white space.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+")
#: Words that occur in about every text of a language and in none of the other.
_ENGLISH_WORDS = "the is are was you i it and to of in that he she we they have what where not my your this"
_SPANISH_WORDS = "el la los las es está un una que de en y no yo tú usted por para con mi su se lo qué dónde"
_COMMON = {"en": frozenset(_ENGLISH_WORDS.split()), "es": frozenset(_SPANISH_WORDS.split())}
_SPANISH = re.compile(r"[ñáéíóúü¿¡]", re.IGNORECASE)


def cleaned(text: str) -> str:
    """In composed form, without control and format characters (NUL, escape sequences, bidirectional marks, lone
    surrogates); runs of white space become one space."""
    spaced = _SPACE.sub(" ", unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8")))
    return "".join(c for c in spaced if c == " " or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()


def sentences(text: str) -> list[str]:
    """The sentences of a cleaned text; none for an empty one."""
    return [part for part in (piece.strip() for piece in _END.split(text)) if part]


def language_of(text: str) -> str:
    """ "en" or "es", by the letters and common words; English where nothing speaks for either."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    spanish = sum(word in _COMMON["es"] for word in words) + 2 * len(_SPANISH.findall(text))
    return "es" if spanish > sum(word in _COMMON["en"] for word in words) else "en"
