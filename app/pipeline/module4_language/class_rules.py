"""The rule that gives every sign its word class: small words from tables, the others by a row of readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import cached_property

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Draft, Kind, Token
from app.pipeline.module4_language.gloss_rules import readable
from app.pipeline.module4_language.inflection import compared, word_classes

#: Small words, first table first: the word in English and its class.
_TABLES: tuple[tuple[Mapping[str, str], Kind], ...] = (
    ({"if": "if"}, "if"),
    ({"because": "because"}, "because"),
    (lex.WH_WORDS, "wh"),
    (lex.NEGATIVES, "negative"),
    (lex.MODALS, "modal"),
    (lex.PROPER | {word: word for word in lex.INDEFINITES}, "name"),
)
_BY_GLOSS: tuple[tuple[Mapping[str, str], Kind], ...] = ((lex.THANKS, "thanks"), (lex.FAREWELLS, "farewell"))
_SETS: tuple[tuple[Set[str], Kind], ...] = (
    (lex.CONJUNCTIONS, "conjunction"),
    (lex.PREPOSITIONS, "preposition"),
    (lex.QUANTITIES, "quantity"),
    (lex.DEGREE, "degree"),
    (lex.ADVERBS, "adverb"),
)


def class_words(draft: Draft) -> None:
    """Give every remaining sign its word class: small words first, then from lexicon, neighbours and dictionary."""
    tokens = draft.tokens
    signs = [_Sign(tokens, i) for i, token in enumerate(tokens) if token.kind == "noun"]
    open_signs = []
    for sign in signs:
        kind = _small_word(sign.token, sign.before, sign.after)
        sign.token.kind = kind or "noun"
        if kind is None:
            open_signs.append(sign)
    for sign in open_signs:
        sign.token.kind = next(kind for read in _READERS if (kind := read(sign)))
    if len(tokens) == 1 and tokens[0].is_a("modal", "negative"):
        tokens[0] = Token(tokens[0].gloss, readable(tokens[0].gloss))
    _compare(draft)


def _small_word(token: Token, before: Token | None, after: Token | None) -> Kind | None:
    gloss, word = token.gloss, token.word
    first = before is None or before.is_a("opener", "expression", "thanks", "farewell", "question")
    if gloss == "PLEASE":
        return "please"
    if gloss == "SORRY" and after is None and before is not None and before.is_a("adjective", "verb", "noun"):
        return "thanks"  # said after the fact: IX-1 LATE SORRY
    if gloss in lex.COMMA_OPENERS and (first or lex.COMMA_OPENERS[gloss] in lex.FREE_OPENERS):
        token.word = lex.COMMA_OPENERS[gloss]
        return "opener"
    for glosses, kind in _BY_GLOSS:
        if gloss in glosses:
            token.word = glosses[gloss]
            return kind
    if word == "nothing" and before is None:
        return "name"
    for table, kind in _TABLES:
        if word in table:
            token.word = table[word]
            return kind
    if gloss == "IX-LOC" or word in lex.DEMONSTRATIVES:
        return _demonstrative(token, after)
    owned = before is not None and before.is_a("possessive")
    if word in lex.PLACES:
        return None if word == "home" and before and (owned or before.word in lex.ADJECTIVES) else "place"
    if word in ("on", "off") and before is not None and after is not None and after.gloss == "PLEASE":
        token.word = f"turn {word}"
        return "verb"
    if owned and "NOUN" in word_classes(word):
        return None  # MY BACK
    return next((kind for words, kind in _SETS if word in words), None)


def _demonstrative(token: Token, after: Token | None) -> Kind:
    here = token.gloss == "IX-LOC"
    token.word = lex.DEMONSTRATIVES["ix-loc" if here else token.word]
    if after is not None and after.kind == "noun" and _is_noun(after) and after.word not in lex.ORDINAL:
        return "demonstrative"
    token.word = "there" if here else token.word
    return "place" if here else "name"


def _is_noun(token: Token) -> bool:
    return token.word in lex.NOUNS or ("NOUN" in word_classes(token.word) and token.word not in lex.VERBS)


def _is_verb(word: str) -> bool:
    return word in lex.VERBS or word_classes(word) == {"VERB"}


def _begins_phrase(token: Token | None) -> bool:
    """Whether a noun phrase begins here, as far as can be seen before the word has its class."""
    if token is None:
        return False
    noun = token.kind == "noun" and _is_noun(token) and token.word not in lex.ADJECTIVES
    return noun or token.is_a("pronoun", "possessive", "number", "demonstrative", "quantity", "name")


class _Sign:
    """A sign whose class is sought, with what stands around it; neighbours to the left have theirs already."""

    def __init__(self, tokens: Sequence[Token], i: int) -> None:
        self.tokens, self.i = tokens, i
        self.token = tokens[i]
        self.before = tokens[i - 1] if i else None
        self.after = tokens[i + 1] if i + 1 < len(tokens) else None

    @property
    def word(self) -> str:
        return self.token.word

    def rename(self, word: str, kind: Kind) -> Kind:
        self.token.word = word
        return kind

    def follows(self, *kinds: Kind) -> bool:
        return self.before is not None and self.before.is_a(*kinds)

    @cached_property
    def takes_phrase(self) -> bool:
        return _begins_phrase(self.after)

    @cached_property
    def precedes_clause(self) -> bool:
        """Whether the pronoun after the sign is the subject of what follows it: SURPRISE SHE PREGNANT."""
        then = self.tokens[self.i + 2] if self.i + 2 < len(self.tokens) else None
        pronoun = self.after is not None and self.after.is_a("pronoun")
        return pronoun and then is not None and (_is_verb(then.word) or then.word in lex.ADJECTIVES)

    @cached_property
    def asked_for(self) -> bool:
        return any(other.gloss == "PLEASE" for other in self.tokens)

    @cached_property
    def asked_when(self) -> bool:
        return any(other.word in ("when", "what time") for other in self.tokens)

    @cached_property
    def other_verbs(self) -> bool:
        open_words = [other for other in self.tokens if other is not self.token and other.is_a("noun", "verb")]
        return any(_is_verb(other.word) for other in open_words)

    @cached_property
    def subject(self) -> Token | None:
        """What the sign may be said of: the phrase before it, past negatives and adverbs."""
        left = reversed(self.tokens[: self.i])
        token = next((other for other in left if not other.is_a("negative", "degree", "adverb")), None)
        return token if token is not None and token.is_a("pronoun", "noun", "name") else None

    @cached_property
    def determined(self) -> bool:
        return self.follows("possessive", "number", "quantity", "adjective", "preposition")

    @cached_property
    def taken(self) -> bool:
        """Whether it may be the object of the verb before it."""
        return self.before is not None and self.before.is_a("verb") and self.before.word not in lex.LINKING


def _completive(sign: _Sign) -> Kind | None:
    if sign.word not in lex.COMPLETIVES:
        return None
    if sign.before is not None and sign.before.word in lex.PARTICIPLES.values():
        return "completive"  # IX-1 MARRY FINISH
    if sign.other_verbs and not (sign.after is not None and sign.after.word == "work"):
        return "completive"
    last = sign.after is None or sign.after.is_a("question", "time")
    thing = sign.before is not None and sign.before.is_a("noun") and sign.before.word not in lex.PERSONS
    if sign.word == "finish" and last and thing:
        return sign.rename("finished", "adjective")
    return "verb" if sign.word == "finish" else "adjective"


def _two_meanings(sign: _Sign) -> Kind | None:
    """Signs that are one thing in one place and another in another: EAT and food, SIGN and sign language."""
    near = [other.word for other in (sign.before, sign.after) if other]
    match sign.word:
        case "eat" if sign.before is None and sign.after and sign.after.word in lex.ADJECTIVES:
            return sign.rename("food", "noun")
        case "sign" if sign.before and sign.before.word in ("learn", "know", "teach", "study", "practice"):
            return sign.rename("sign language", "noun")
        case "help":
            alone = sign.after is None or sign.after.is_a("question", "please") or sign.after.word in ("need", "want")
            given = sign.follows("possessive", "preposition") or (alone and ("need" in near or "want" in near))
            return "noun" if given else "verb"
        case "work" if sign.before is None and sign.after and sign.after.is_a("time"):
            return "verb"
        case "work" if sign.before and sign.before.word in ("go", "finish", "my"):
            return "noun"
        case "favorite" if sign.follows("possessive") and not sign.takes_phrase:
            return "noun"
        case "major" if sign.follows("possessive"):
            return "noun"
    return None


def _name(sign: _Sign) -> Kind | None:
    """MY NAME ROSE; colors as things: LIKE PURPLE."""
    named = sign.before is not None and sign.before.word == "name" and sign.i > 1
    if named and not _is_verb(sign.word) and "ADJ" not in word_classes(sign.word):
        return sign.rename(sign.word.title(), "name")
    topic = sign.before is None and sign.after is not None and sign.after.is_a("pronoun") and len(sign.tokens) > 2
    if sign.word in lex.COLORS and (topic or (sign.taken and not sign.takes_phrase)):
        return "name"
    return None


def _manner(sign: _Sign) -> Kind | None:
    moved = any(other.is_a("verb") for other in sign.tokens[: sign.i])
    linked = sign.before is not None and sign.before.word in lex.LINKING
    if sign.word in lex.MANNER and moved and not linked and not sign.takes_phrase:
        return sign.rename(lex.MANNER[sign.word], "adverb")
    return None


def _said_of_subject(sign: _Sign) -> Kind | None:
    """WE CAMPING, SHE EMBARRASS, THEY MARRY LAST-YEAR, STORE CLOSE."""
    word, subject = sign.word, sign.subject
    if word in lex.OUTINGS and subject and not sign.other_verbs:
        return sign.rename(lex.OUTINGS[word], "verb")
    alone = len(sign.tokens) == 1 and word_classes(word) == {"VERB"}
    acts = _is_verb(word) and (sign.asked_for or (sign.takes_phrase and not sign.precedes_clause))
    if sign.asked_when or not (alone or (subject and not acts)):
        return None
    if word in lex.PARTICIPLE_EVENTS and any(other.tense in ("past", "future") for other in sign.tokens):
        return sign.rename(lex.PARTICIPLE_EVENTS[word], "verb")
    thing = subject is not None and subject.is_a("noun") and not lex.among(subject.word, lex.PERSONS)
    participle = lex.PARTICIPLES.get(word) or (lex.THING_PARTICIPLES.get(word) if thing else None)
    return sign.rename(participle, "adjective") if participle else None


def _adjective(sign: _Sign) -> Kind | None:
    if sign.word not in lex.ADJECTIVES:
        return None
    if _is_verb(sign.word):
        done = sign.after is not None and sign.after.word in lex.COMPLETIVES
        timed = sign.asked_when and sign.word in lex.SCHEDULED
        wanted = sign.takes_phrase or any(other.is_a("wh") for other in sign.tokens)
        if sign.asked_for or done or timed or (wanted and sign.follows("pronoun", "modal", "name", "wh")):
            return None
    acting = sign.before is None and sign.after and sign.after.kind == "noun" and _is_verb(sign.after.word)
    thing = sign.word in lex.NOUNS and not sign.takes_phrase and (sign.determined or sign.taken or acting)
    return None if thing else "adjective"


def _listed(sign: _Sign) -> Kind | None:
    may_be_noun = sign.word in lex.NOUNS or sign.word in lex.NOUNS_TOO
    if sign.word in lex.VERBS and not (may_be_noun and _is_thing(sign)):
        return "verb"
    return "noun" if may_be_noun else None


def _is_thing(sign: _Sign) -> bool:
    """Whether a word that is verb or noun is the noun: with a determiner, as an object, before an adjective."""
    before, after = sign.before, sign.after
    if before is None:
        if after is not None and after.kind == "noun" and after.word in lex.ADJECTIVES:
            return True
        if sign.word in lex.WEATHER:
            return after is not None and after.kind == "noun" and _is_verb(after.word)  # RAIN STOP
        acts = sign.takes_phrase or sign.asked_for or (after is not None and after.word in lex.COMPLETIVES)
        return sign.word in lex.NOUNS and not acts
    if before.is_a("adjective") and (before.word in lex.PRIVATE_STATES or before.word in lex.FEELINGS):
        return False
    given = before.is_a("pronoun") and sign.i > 1 and sign.tokens[sign.i - 2].word in lex.DITRANSITIVE
    chained = any(before.word in group for group in (lex.CONTROL, lex.CAUSATIVE, lex.INTRANSITIVE))
    return sign.determined or given or (before.is_a("verb") and not chained)


def _guessed(sign: _Sign) -> Kind:
    """By the dictionary: a noun if it may be one, unless it stands where a verb or an adjective must."""
    classes = word_classes(sign.word)
    if {"VERB", "NOUN"} <= classes:
        acts = sign.follows("pronoun", "modal", "please", "negative")
        return "verb" if acts and not any(other.kind == "verb" for other in sign.tokens) else "noun"
    if {"ADJ", "NOUN"} <= classes and sign.follows("pronoun", "noun", "degree"):
        return "adjective"
    order: tuple[tuple[str, Kind], ...] = (("NOUN", "noun"), ("ADJ", "adjective"), ("VERB", "verb"), ("ADV", "adverb"))
    return next((kind for name, kind in order if name in classes), "noun")


_READERS: tuple[Callable[[_Sign], Kind | None], ...] = (
    _completive,
    _two_meanings,
    _name,
    _manner,
    _said_of_subject,
    _adjective,
    _listed,
    _guessed,
)


def _compare(draft: Draft) -> None:
    """Read ``MORE TALL`` as taller, ``MOST TALL`` as the tallest."""
    tokens: list[Token] = []
    for i, token in enumerate(draft.tokens):
        degree = tokens[-1].word if tokens else ""
        after = draft.tokens[i + 1] if i + 1 < len(draft.tokens) else None
        if degree in ("more", "most", "less") and token.is_a("adjective") and not (after and after.is_a("noun")):
            tokens[-1] = Token(token.gloss, compared(token.word, degree), "adjective")
        else:
            tokens.append(token)
    draft.tokens = tokens
