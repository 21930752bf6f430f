"""English word forms, by libraries: verbs and plurals from lemminflect, "a"/"an" and number words from inflect.

Both libraries load on first use, so importing the pipeline stays cheap; call :func:`warm_up` where a first sentence
must be as fast as the rest.
"""

from __future__ import annotations

import threading
from functools import cache, lru_cache
from typing import Any

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
        if head == "people":
            return word
        forms = _lemminflect().getInflection(head, tag)
        plural = forms[0] if forms else head
        return f"{before} {plural}".strip()
    if tag == "VB":
        return word
    forms = _lemminflect().getInflection(head, tag)
    return f"{forms[0] if forms else head} {tail}".strip()


@lru_cache(maxsize=8192)
def word_classes(word: str) -> frozenset[str]:
    """Classes the dictionary knows for a lemma: a subset of NOUN, VERB, ADJ, ADV; empty for an unknown word."""
    return frozenset(_lemminflect().getAllLemmas(word)) & {"NOUN", "VERB", "ADJ", "ADV"}


@lru_cache(maxsize=8192)
def with_article(phrase: str) -> str:
    """``phrase`` with "a" or "an" by sound: "an hour", "a university"."""
    return str(_inflect().a(phrase)) if phrase else phrase


@lru_cache(maxsize=1024)
def number_words(value: int) -> str:
    """A whole number in words: 25 -> "twenty-five"."""
    return str(_inflect().number_to_words(value))
