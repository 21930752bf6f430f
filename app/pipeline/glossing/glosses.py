"""The rules from English text to glosses, and an account of what became of every word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.pipeline.glossing import table
from app.pipeline.glossing.lookup import Lookup
from app.pipeline.glossing.order import clauses, ordered
from app.pipeline.glossing.units import Kind, Unit
from app.pipeline.glossing.words import Sentence, Word, sentences
from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.inflection import english_lemmas

Use = Literal["sign", "spelled", "text", "grammar"]
_LONGEST_PHRASE = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to show, in order."""

    kind: Literal["sign", "spelled", "text"]
    text: str
    """The gloss; of a spelled word and of one without a sign, the word as written."""
    glosses: tuple[str, ...]
    """Signs to make: one, the letters, or none."""
    words: tuple[int, ...]
    """Which words of the text it stands for; none for a sign that only grammar asks for."""


@dataclass(frozen=True, slots=True)
class WordUse:
    """What became of one word of the text."""

    text: str
    start: int
    """Place of its first character in the text."""
    end: int
    use: Use
    """`sign`; `spelled`; `text`: it has no sign; `grammar`: it is not signed."""
    items: tuple[int, ...]
    """Which items stand for it."""


@dataclass(frozen=True, slots=True)
class Glossing:
    """A text as glosses."""

    items: tuple[Item, ...]
    words: tuple[WordUse, ...]

    @property
    def glosses(self) -> tuple[str, ...]:
        """Signs to make, letters included."""
        return tuple(gloss for item in self.items for gloss in item.glosses)

    @property
    def without_sign(self) -> tuple[str, ...]:
        """Words as written that are neither signed nor spelled."""
        return tuple(item.text for item in self.items if item.kind == "text")


class Glosser:
    """Text to the glosses of one vocabulary. Immutable, safe for threads; the first text loads a dictionary."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        self._lookup = Lookup(vocabulary)

    def gloss(self, text: str) -> Glossing:
        """Glosses of English text. Takes time in proportion to its length; bound the length."""
        account = _Account()
        for sentence in sentences(text):
            units = list(_Parser(self._lookup, sentence).units())
            for clause in clauses(units):
                for unit in ordered(clause, sentence.asks, self._lookup):
                    account.show(unit)
            for unit in units:
                account.settle(unit)
        return account.glossing()


@dataclass
class _Account:
    """Items, and for each word which of them stand for it."""

    items: list[Item] = field(default_factory=list)
    words: dict[Word, tuple[Use, list[int]]] = field(default_factory=dict)

    def show(self, unit: Unit) -> None:
        """Adds what it is shown as."""
        # Places of words are known once all are there: until then an item holds those of characters.
        places = tuple(word.start for word in unit.words)
        if unit.row is None or unit.kind == "spelled":
            row = unit.row or ()
            written = " ".join(word.text for word in unit.words)
            self._add(Item("spelled" if row else "text", written, row, places), unit)
            return
        for gloss in unit.row:
            self._add(Item("sign", gloss, (gloss,), places), unit)

    def _add(self, item: Item, unit: Unit) -> None:
        for word in unit.words:
            self.words.setdefault(word, (item.kind, []))[1].append(len(self.items))
        self.items.append(item)

    def settle(self, unit: Unit) -> None:
        """A word that nothing stands for is one that is not signed."""
        for word in unit.words:
            self.words.setdefault(word, ("grammar", []))

    def glossing(self) -> Glossing:
        order = sorted(self.words, key=lambda word: word.start)
        index = {word.start: number for number, word in enumerate(order)}
        uses = tuple(WordUse(w.text, w.start, w.end, self.words[w][0], tuple(self.words[w][1])) for w in order)
        items = tuple(
            Item(item.kind, item.text, item.glosses, tuple(index[place] for place in item.words)) for item in self.items
        )
        return Glossing(items, uses)


class _Parser:
    """One sentence as units, in the order of English."""

    def __init__(self, lookup: Lookup, sentence: Sentence) -> None:
        self._lookup, self._words = lookup, sentence.words

    def units(self) -> Iterator[Unit]:
        at, before = 0, Unit("break", ())
        while at < len(self._words):
            word = self._words[at]
            unit = Unit("break", ()) if word is None else self._phrase(at, before) or self._single(at, before)
            at += max(1, len(unit.words))
            before = unit if unit.kind != "break" else before
            yield unit

    def _low(self, at: int) -> str:
        word = self._words[at] if 0 <= at < len(self._words) else None
        return "" if word is None else word.low

    # -- several words ------------------------------------------------------------------------------------------------

    def _phrase(self, at: int, before: Unit) -> Unit | None:
        for size in range(min(_LONGEST_PHRASE, len(self._words) - at), 0, -1):
            words = self._words[at : at + size]
            if any(word is None for word in words):
                continue
            known = [word for word in words if word is not None]
            if unit := self._known(known, at, before):
                return unit
        return None

    def _known(self, words: Sequence[Word], at: int, before: Unit) -> Unit | None:
        """These words together, if they mean something together."""
        key = _key(words)
        if key in table.OPENERS and self._opens(key, at, len(words), before):
            row = self._lookup.first(table.OPENERS[key])
            if row is not None or len(words) == 1:
                return Unit("opener", tuple(words), row)
        if key in table.WH:
            row = self._lookup.first(table.WH[key])
            if row is not None:
                return Unit("wh", tuple(words), row)
        if len(words) == 1:
            return None
        if key in table.PHRASES:
            if not table.PHRASES[key]:
                return self._going(words, at)
            row = self._lookup.first(table.PHRASES[key])
            if row is not None:
                kind: Kind = "time" if key in _TIME_PHRASES else "content"
                return Unit(kind, tuple(words), row)
        for parts, gloss in self._lookup.compounds.items():
            if len(parts) == len(words) and all(map(_is_form, parts, words)):
                return Unit("time" if gloss.lower() in lex.TIME_WORDS else "content", tuple(words), (gloss,))
        return None

    def _going(self, words: Sequence[Word], at: int) -> Unit:
        """ "Going to" before a verb is the future, else a way."""
        if self._is_verb(at + len(words)):
            return Unit("future", tuple(words), ())
        return Unit("content", tuple(words), self._lookup.first((("GO",),)))

    def _opens(self, key: str, at: int, size: int, before: Unit) -> bool:
        """Whether an opener stands where it opens: "no" and "sorry" mean something else inside a sentence."""
        first = before.kind in ("break", "opener")
        if " " in key:
            return True
        return first and (key not in ("no", "ok", "okay") or not self._low(at + size) or self._words[at + size] is None)

    # -- single words --------------------------------------------------------------------------------------------------

    def _single(self, at: int, before: Unit) -> Unit:
        word = self._words[at]
        assert word is not None
        low, lookup = word.low, self._lookup

        def unit(kind: Kind, row: tuple[str, ...] | None) -> Unit:
            return Unit(kind, (word,), row)

        def among(kind: Kind, choices: table.Choices, otherwise: tuple[str, ...] | None = None) -> Unit:
            return unit(kind, lookup.first(choices) if choices else ())._or(otherwise)

        if word.number:
            return unit("number", lookup.number(low))
        if low in table.NEGATIONS:
            return among("negation", table.NEGATIONS[low])
        if low == "no":
            return unit("negation", lookup.first((("NONE",), ("NOT",), ("NO",))))
        if low == "please":
            return unit("please", lookup.first((("PLEASE",),)))
        if low in table.HAVE and self._is_participle(at + 1):
            return unit("perfect", ())
        if low in table.MODALS:
            return among("modal", table.MODALS[low])
        if low == "her" and not self._is_noun(at + 1):
            return among("person", table.PERSONS["she"])
        if low in table.PERSONS:
            return among("person", table.PERSONS[low], () if low == "it" else None)
        if low in table.POSSESSIVES:
            return among("possessive", table.POSSESSIVES[low])
        if low in table.DEMONSTRATIVES:
            return among("demonstrative", table.DEMONSTRATIVES[low], () if self._is_noun(at + 1) else None)
        if low in table.CONJUNCTIONS:
            return among("conjunction", table.CONJUNCTIONS[low])
        if low == "and":
            return unit("and", ())
        if low in table.KEPT and (row := lookup.first(table.KEPT[low])):
            return unit("content", row)
        if low in table.BE:
            return unit("be", ())
        if low in table.HELPING:
            return self._content(word, at, before) if self._is_main_verb(at) else unit("helping", ())
        if low in table.DROPPED:
            return unit("dropped", ())
        if low in lex.NUMBER_WORDS and low.upper() in lookup.signs:
            return unit("number", (low.upper(),))
        return self._content(word, at, before)

    def _content(self, word: Word, at: int, before: Unit) -> Unit:
        low = word.low
        verbal = before.kind in ("person", "perfect", "wh") or (low in _VERBS_AFTER_NOUNS and before.kind == "content")
        if low.endswith("ing"):
            verbal = before.kind in ("be", "negation", "person") and "ADJ" not in english_lemmas(low)
        gloss = self._lookup.word(low, as_verb=verbal)
        timely = low in lex.TIME_WORDS or low in lex.NAMED_TIMES
        timely = timely or (low in lex.TIME_LEADS and self._low(at + 1) in lex.LED_TIMES)
        timely = timely or (self._low(at - 1) in lex.TIME_LEADS and low in lex.LED_TIMES)
        kind: Kind = "time" if timely and low not in _NOT_TIMES else "content"
        if gloss is not None:
            return Unit(kind, (word,), (gloss,))
        letters = self._lookup.spelled(low)
        return Unit("spelled", (word,), letters) if letters else Unit(kind, (word,), None)

    # -- what kind of word is there ------------------------------------------------------------------------------------

    def _is_verb(self, at: int) -> bool:
        low = self._low(at)
        if low in table.BE:
            return True
        return low in english_lemmas(low).get("VERB", ()) and low not in lex.NOUNS

    def _is_noun(self, at: int) -> bool:
        kinds = english_lemmas(self._low(at))
        return "NOUN" in kinds or "ADJ" in kinds or (bool(self._low(at)) and not kinds and self._low(at).isalpha())

    def _is_main_verb(self, at: int) -> bool:
        """Whether "do" is what is done: nothing follows it that could be."""
        return not any(self._is_verb_form(i) for i in range(at + 1, len(self._words)))

    def _is_verb_form(self, at: int) -> bool:
        return "VERB" in english_lemmas(self._low(at)) or self._low(at) in table.BE

    def _is_participle(self, at: int) -> bool:
        """Whether the verb that "have" helps comes here, past a pronoun, a negation or an adverb."""
        for i in range(at, min(at + 4, len(self._words))):
            low = self._low(i)
            verb = english_lemmas(low).get("VERB", ())
            if low in table.BE or (verb and low not in verb and not low.endswith(("ing", "s"))):
                return True
            if low in verb and low in ("cut", "put", "hurt", "quit", "read", "come", "become", "run"):
                return True
            if not (low in table.PERSONS or low in table.NEGATIONS or low in lex.ADVERBS or low in lex.FREQUENCY):
                return False
        return False


_TIME_PHRASES = frozenset({"every day", "all day", "last year", "last week", "next week", "next year", "right now"})
#: Forms of verbs that are as often something else; after a noun they are verbs.
_VERBS_AFTER_NOUNS = frozenset({"broke", "saw", "found", "felt", "fell", "met"})
#: Words of time that are as often something else.
_NOT_TIMES = frozenset({"before", "then", "maybe", "finally", "may", "past", "later", "anyway", "therefore"})


def _key(words: Sequence[Word]) -> str:
    return " ".join("be" if w.low in table.BE or (i and w.low == "'s") else w.low for i, w in enumerate(words))


def _is_form(part: str, word: Word) -> bool:
    return (
        part == word.low
        or part in english_lemmas(word.low).get("VERB", ())
        or (part in english_lemmas(word.low).get("NOUN", ()))
    )
