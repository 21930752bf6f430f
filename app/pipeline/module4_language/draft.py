"""The sentence while it is being built: tokens, noun phrases, clauses and the draft that rules change step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "noun", "name", "pronoun", "possessive", "absolute", "number", "quantity", "demonstrative", "verb", "adjective",
    "degree", "adverb", "time", "preposition", "conjunction", "place", "negative", "modal", "completive", "wh",
    "question", "please", "if", "because", "opener", "thanks", "farewell", "expression",
]  # fmt: skip


@dataclass(slots=True)
class Token:
    """One sign, or several read as one: its gloss, its English lemma or text, and its word class."""

    gloss: str
    word: str = ""
    kind: Kind = "noun"
    person: str = ""  # key of lexicon.PRONOUNS for pronouns and possessives
    repeats: int = 1
    tense: str = ""  # time words: past, future, now, habit, since, until
    noun: str = ""  # time words: the name of the time itself, "Monday" for "on Monday"
    end: str = "."  # expressions: end mark

    def is_a(self, *kinds: Kind) -> bool:
        return self.kind in kinds


@dataclass(slots=True)
class NounPhrase:
    """A noun with what belongs to it; order of English: determiner, number, adjectives, noun."""

    head: Token
    possessor: str = ""  # "my", or a finished phrase such as "my friend's"
    demonstrative: str = ""
    number: str = ""
    adjectives: list[str] = field(default_factory=list)
    plural: bool = False
    definite: bool = False
    article: Literal["", "a", "the", "no"] = ""
    others: list[NounPhrase] = field(default_factory=list)
    joiner: str = "and"

    @property
    def is_pronoun(self) -> bool:
        return self.head.kind == "pronoun"


@dataclass(slots=True)
class VerbGroup:
    """One verb with its objects and where it happens; ``link`` says how it hangs on the verb before it."""

    verb: Token
    objects: list[NounPhrase] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # finished adverbials: "here", "under the table"
    link: Literal["", "to", "bare", "and", "ing"] = ""


@dataclass(slots=True)
class Prepositional:
    """A preposition with its noun phrase."""

    preposition: str
    phrase: NounPhrase


Item = Token | NounPhrase | Prepositional


@dataclass(slots=True)
class Clause:
    """One clause; rules move words from ``tokens`` to ``items`` to the named slots, the realiser reads the slots."""

    tokens: list[Token] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    openers: list[str] = field(default_factory=list)
    vocative: str = ""
    closer: str = ""  # ", thank you" after a statement
    fixed: str = ""
    end: str = ""
    link: str = ""  # conjunction to the clause before it, "if" on a condition, "then" after one
    please: bool = False
    times: list[str] = field(default_factory=list)
    times_first: int = 0  # how many of ``times`` lead the sentence
    time_tense: str = ""
    question: bool = False
    wh: str = ""
    wh_noun: NounPhrase | None = None
    negation: str = ""
    modal: str = ""
    perfect: bool = False
    topic: NounPhrase | None = None
    subject: NounPhrase | None = None
    imperative: bool = False
    gerund: bool = False  # "thank you for helping"
    verbs: list[VerbGroup] = field(default_factory=list)
    complement: list[Item] = field(default_factory=list)
    adverbs: list[str] = field(default_factory=list)
    frequency: str = ""
    copula: bool = False
    tense: str = "present"
    progressive: bool = False


@dataclass(slots=True)
class Draft:
    """All that is known of one utterance: the tokens at first, the clauses once they are split, the text in the end."""

    tokens: list[Token]
    clauses: list[Clause] = field(default_factory=list)
    text: str = ""

    @classmethod
    def of(cls, glosses: Sequence[str]) -> Draft:
        return cls([Token(gloss) for gloss in glosses])


@dataclass(frozen=True, slots=True)
class Rule:
    """One named step of a grammar: a line of description and the function that changes the draft in place."""

    name: str
    description: str
    apply: Callable[[Draft], None]


def each_clause(change: Callable[[Clause], None]) -> Callable[[Draft], None]:
    """Lift a function on one clause to a rule on the draft; finished expressions are left alone."""

    def apply(draft: Draft) -> None:
        for clause in draft.clauses:
            if not clause.fixed:
                change(clause)

    apply.__name__ = getattr(change, "__name__", "change")
    apply.__doc__ = change.__doc__
    return apply
