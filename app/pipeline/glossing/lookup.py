"""Which sign stands for an English word: by the word itself, its lemma, a word that means the same, or its letters."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from app.pipeline.glossing.table import SYNONYMS, Choices, Row
from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.inflection import english_lemmas, number_words

#: Words that are longer are not spelled.
MAX_SPELLED = 20
#: Glosses with a hyphen that are not the words they consist of.
_NOT_WORDS = ("IX-", "POSS-", "FS-", "PRO-")
#: Adjectives of verbs' forms, and nouns, whatever stands before them.
_AS_WRITTEN = frozenset({"hearing", "meeting", "glasses"})
#: A greater number is spelled out digit by digit.
_MAX_NUMBER = 999_999


class Lookup:
    """Words in one vocabulary of signs. Immutable."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        self.signs = frozenset(vocabulary)
        compound = [gloss for gloss in self.signs if "-" in gloss and not gloss.startswith(_NOT_WORDS)]
        #: Words of a gloss of several words -> the gloss.
        self.compounds = {tuple(gloss.lower().split("-")): gloss for gloss in compound}
        self._letters = {
            letter: name
            for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            for name in (letter, f"FS-{letter}")
            if name in self.signs
        }

    def first(self, choices: Choices) -> Row | None:
        """The first row whose signs are all known."""
        return next((row for row in choices if all(gloss in self.signs for gloss in row)), None)

    def word(self, low: str, as_verb: bool = False) -> str | None:
        """The gloss of a word in lower case. as_verb: a form of a verb stands for the verb."""
        lemmas = english_lemmas(low)
        verb = lemmas.get("VERB", ())
        forms = [low, *verb] if not as_verb or low in _AS_WRITTEN else [*verb, low]
        forms += [lemma for kind, found in lemmas.items() if kind != "VERB" for lemma in found]
        forms += _derived(low)
        for form in dict.fromkeys(forms):
            for gloss in (form.upper(), SYNONYMS.get(form)):
                if gloss in self.signs:
                    return gloss
        return None

    def number(self, digits: str) -> Row | None:
        """A whole number in digits."""
        if (len(digits) > 1 and digits.startswith("0")) or len(digits) > 6 or int(digits) > _MAX_NUMBER:
            return None
        words = number_words(int(digits)).replace("-", " ").replace(",", " ").replace(" and ", " ")
        row = tuple(word.upper() for word in words.split())
        return row if all(gloss in self.signs for gloss in row) else None

    def spelled(self, low: str) -> Row | None:
        """The letters of a word; None where one has no sign, and for a number that is no row of digits."""
        if len(low) > MAX_SPELLED:
            return None
        digits = {str(value): word.upper() for word, value in lex.NUMBER_WORDS.items() if value < 10}
        row = tuple(self._letters.get(c.upper()) or digits.get(c, "") for c in low)
        return row if row and all(gloss in self.signs for gloss in row) else None


@lru_cache(maxsize=4096)
def _derived(low: str) -> tuple[str, ...]:
    """Words it is derived from, a guess that a vocabulary confirms: slowly, slow; worried, worry."""
    found = [adjective for adjective, adverb in lex.MANNER.items() if adverb == low]
    found += [verb for verb, participle in lex.PARTICIPLES.items() if participle == low]
    if low.endswith("ily"):
        found.append(low[:-3] + "y")
    elif low.endswith("ly"):
        found.append(low[:-2])
    return tuple(found)
