"""English word forms, by libraries: verbs and plurals from lemminflect, "a"/"an" and number words from inflect.

Where the library errs the lexicon's table of inflections has the word.

Both libraries load on first use, so importing the pipeline stays cheap; call :func:`warm_up` where a first sentence
must be as fast as the rest.
"""

from __future__ import annotations

import re
import threading
from functools import cache, lru_cache
from typing import Any

from app.pipeline.module4_language import lexicon as lex

_LOADING = threading.Lock()
_BE = {"VBG": "being", "VBN": "been", "VB": "be"}


@cache
def _lemminflect() -> Any:
    import lemminflect

    return lemminflect


@cache
def _inflect() -> Any:
    # Nine tenths of inflect's import (3 s of processor time) go into run-time type checks of its own arguments, which
    # ours pass by construction; it is loaded without them.
    import typeguard

    with _LOADING:
        checked, typeguard.typechecked = typeguard.typechecked, lambda target: target  # type: ignore[assignment]
        try:
            import inflect
        finally:
            typeguard.typechecked = checked
    return inflect.engine()


def warm_up() -> None:
    """Load both libraries and their dictionaries; that of word classes is a file of its own."""
    inflected("go", "VBD")
    word_classes("go")
    with_article("hour")


@lru_cache(maxsize=8192)
def inflected(word: str, tag: str) -> str:
    """``word`` (lemma, its first word if several) in the form of the Penn tag VB, VBZ, VBG, VBD, VBN or NNS."""
    if word == "be" and tag in _BE:
        return _BE[tag]
    head, _, tail = word.partition(" ") if tag != "NNS" else ("", "", "")
    if tag == "NNS":
        before, _, head = word.rpartition(" ")
        return word if is_plural(word) else f"{before} {_form(head, tag)}".strip()
    if tag == "VB":
        return word
    return f"{_form(head, tag)} {tail}".strip()


def _form(word: str, tag: str) -> str:
    forms = _lemminflect().getInflection(word, tag)
    return lex.INFLECTIONS.get((word, tag)) or (forms[0] if forms else word)


def compared(adjective: str, degree: str) -> str:
    """An adjective in its ``degree``: "more" -> "taller" or "more useful", "most" -> "the tallest", "less" tall."""
    short = len(re.findall("[aeiouy]+", adjective.removesuffix("e"))) == 1 or adjective.endswith("y")
    if degree == "less" or not short:
        return f"{'the ' if degree == 'most' else ''}{degree} {adjective}"
    return _form(adjective, "JJR") if degree == "more" else f"the {_form(adjective, 'JJS')}"


@lru_cache(maxsize=8192)
def word_classes(word: str) -> frozenset[str]:
    """Classes of a word by the dictionary: a subset of NOUN, VERB, ADJ, ADV; empty for an unknown word.

    A form of a verb is what English uses it for: "puzzled" an adjective, "fishing" a noun.
    """
    lemmas = english_lemmas(word)
    classes = set(lemmas) & {"NOUN", "VERB", "ADJ", "ADV"}
    if "VERB" in classes and word not in lemmas["VERB"]:
        classes = classes - {"VERB"} or {"NOUN" if word.endswith("ing") else "ADJ"}
    return frozenset(classes)


def lemmas(word: str) -> frozenset[str]:
    """What ``word`` may be an inflected form of, as any part of speech."""
    return frozenset(lemma for found in english_lemmas(word).values() for lemma in found)


@lru_cache(maxsize=8192)
def english_lemmas(word: str) -> dict[str, tuple[str, ...]]:
    """Class of word (NOUN, VERB, ADJ, ADV, AUX, PROPN) -> its lemmas by the dictionary; empty for an unknown word. Not
    to be changed."""
    return dict(_lemminflect().getAllLemmas(word))


@lru_cache(maxsize=8192)
def is_plural(word: str) -> bool:
    """Whether a noun is a plural as it stands: "children", "scissors", "french fries"."""
    last = word.rpartition(" ")[2]
    return (
        word in lex.PLURAL or last in lex.PLURAL or last not in _lemminflect().getAllLemmas(last).get("NOUN", (last,))
    )


@lru_cache(maxsize=8192)
def with_article(phrase: str) -> str:
    """``phrase`` with "a" or "an" by sound: "an hour", "a university"."""
    return str(_inflect().a(phrase)) if phrase else phrase


@lru_cache(maxsize=1024)
def number_words(value: int) -> str:
    """A whole number in words: 25 -> "twenty-five"."""
    return str(_inflect().number_to_words(value))
