"""Rules inside a clause, before roles: take out time, negation, question and polite words; build noun phrases."""

from __future__ import annotations

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Item, NounPhrase, Prepositional, Token
from app.pipeline.module4_language.realise import noun_phrase


def front_time(clause: Clause) -> None:
    """Time words: first in the gloss, first in English; last, last. They set the tense of the clause."""
    times = [token for token in clause.tokens if token.is_a("time")]
    if not times:
        return
    clause.time_first = clause.tokens[0].is_a("time")
    if clause.tokens == times and len(times) == 1 and times[0].word.startswith(("in the ", "at ")):
        clause.tokens = [Token(times[0].gloss, times[0].word.split()[-1], "noun")]
        return
    clause.times = [token.word for token in times]
    clause.time_tense = next((token.tense for token in times if token.tense in ("past", "future")), times[0].tense)
    clause.tokens = [token for token in clause.tokens if not token.is_a("time")]


def read_politeness(clause: Clause) -> None:
    """PLEASE becomes one "please", whose place (first for a request, last for a thing) the sentence decides."""
    clause.please = any(token.is_a("please") for token in clause.tokens)
    clause.tokens = [token for token in clause.tokens if not token.is_a("please")]


def read_negation(clause: Clause) -> None:
    """Negative signs anywhere, mostly last, negate the clause; before or after a bare noun they mean "no"."""
    negatives = [token for token in clause.tokens if token.is_a("negative")]
    if not negatives or len(clause.tokens) == 1:
        return
    clause.negation = negatives[-1].word
    no_thing = clause.negation == "not" and negatives[-1].gloss == "NO"
    clause.tokens = [token for token in clause.tokens if not token.is_a("negative")]
    predicate = any(token.is_a("verb", "adjective", "place", "preposition", "completive") for token in clause.tokens)
    things = [token for token in clause.tokens if token.is_a("noun") and token.word not in lex.PERSONS]
    if no_thing and things and not predicate:
        clause.negation = "none"


def read_modals(clause: Clause) -> None:
    """WILL, CAN, MUST and their like become the auxiliary, wherever they were signed."""
    modals = [token for token in clause.tokens if token.is_a("modal")]
    if modals and len(clause.tokens) > 1:
        clause.modal = modals[0].word
        clause.tokens = [token for token in clause.tokens if not token.is_a("modal")]


def read_completion(clause: Clause) -> None:
    """FINISH beside a verb is the completive: English present perfect, and a definite object."""
    if any(token.is_a("completive") for token in clause.tokens) and any(t.is_a("verb") for t in clause.tokens):
        clause.perfect = True
        clause.tokens = [token for token in clause.tokens if not token.is_a("completive")]


def read_wh(clause: Clause) -> None:
    """A question word, first or last, opens the English question; a noun beside WHAT or HOW-MANY goes with it."""
    position = next((i for i, token in enumerate(clause.tokens) if token.is_a("wh")), None)
    if position is None:
        return
    clause.wh = clause.tokens[position].word
    clause.question = True
    if position + 1 < len(clause.tokens) and clause.tokens[position + 1].word == "old" and clause.wh == "how":
        clause.wh = "how old"
        del clause.tokens[position + 1]
    del clause.tokens[position]
    clause.tokens = [token for token in clause.tokens if not token.is_a("wh")]
    if clause.wh in ("how many", "what", "which", "how much"):
        _take_counted_noun(clause, position)


def _take_counted_noun(clause: Clause, position: int) -> None:
    tokens = clause.tokens
    verbs = any(token.is_a("verb") for token in tokens)
    if clause.wh in ("what", "which", "how much") and not (verbs and any(t.is_a("pronoun") for t in tokens)):
        return
    for i in (position - 1, position):
        if 0 <= i < len(tokens) and tokens[i].is_a("noun") and not (i and tokens[i - 1].is_a("possessive")):
            if clause.wh in ("what", "which") and i == position - 1 and i and tokens[i - 1].is_a("verb"):
                continue
            noun = tokens.pop(i)
            clause.wh_noun = NounPhrase(noun, plural=clause.wh == "how many" and noun.word not in lex.MASS)
            return


def own_relations(clause: Clause) -> None:
    """A person pointed at before NAME, AGE or a relative of theirs owns it: ``YOU NAME`` is "your name"."""
    tokens = clause.tokens
    for i, token in enumerate(tokens[:-1]):
        owned = tokens[i + 1]
        relation = owned.word in lex.KIN and (
            (i + 2 < len(tokens) and (tokens[i + 2].is_a("adjective") or tokens[i + 2].word in lex.ATTRIBUTES))
            or (clause.wh in ("how", "where", "who") and not any(t.is_a("verb") for t in tokens))
        )
        aged = owned.word == "age" and i + 2 < len(tokens) and tokens[i + 2].is_a("number")
        if token.is_a("pronoun") and not aged and (owned.word in lex.ATTRIBUTES or relation):
            token.kind = "possessive"
    if len(tokens) >= 2 and tokens[0].word == "name" and tokens[1].is_a("pronoun", "possessive"):
        tokens[0], tokens[1] = tokens[1], tokens[0]
        tokens[0].kind = "possessive"
    elif len(tokens) >= 2 and tokens[0].word == "name" and tokens[1].is_a("name"):
        tokens.insert(0, Token("MY", "my", "possessive", person="i"))


def read_age(clause: Clause) -> None:
    """AGE (or OLD) with a number is so many years old."""
    tokens = clause.tokens
    for i, token in enumerate(tokens[:-1]):
        if token.word in ("age", "old") and tokens[i + 1].is_a("number"):
            years = "year" if tokens[i + 1].word == "one" else "years"
            text = f"{tokens[i + 1].word} {years} old"
            clause.tokens = [*tokens[:i], Token(token.gloss, text, "adjective"), *tokens[i + 2 :]]
            return


def build_noun_phrases(clause: Clause) -> None:
    """Gather determiners, numbers and adjectives around their nouns; possessives and numbers may follow the noun."""
    builder = _PhraseBuilder(clause)
    clause.items = builder.build()


class _PhraseBuilder:
    def __init__(self, clause: Clause) -> None:
        self.clause = clause
        self.tokens = clause.tokens
        self.has_verb = any(token.is_a("verb") for token in clause.tokens)
        self.items: list[Item] = []
        self.pending = NounPhrase(Token("", ""))
        self.loose: list[Token] = []

    def build(self) -> list[Item]:
        for i, token in enumerate(self.tokens):
            before = self.tokens[i - 1] if i else None
            after = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
            self._take(i, token, before, after)
        self._flush()
        self._join_prepositions()
        self._coordinate()
        return self.items

    def _flush(self) -> None:
        """Determiners that found no noun stand as words of their own."""
        self.items.extend(self.loose)
        self.loose = []
        self.pending = NounPhrase(Token("", ""))

    def _last(self) -> NounPhrase | None:
        last = self.items[-1] if self.items else None
        return last if isinstance(last, NounPhrase) and not last.is_pronoun else None

    def _noun_follows(self, i: int) -> bool:
        for token in self.tokens[i + 1 :]:
            if token.is_a("noun", "name"):
                return True
            if not token.is_a("adjective", "number", "quantity", "degree"):
                return False
        return False

    def _take(self, i: int, token: Token, before: Token | None, after: Token | None) -> None:
        last = self._last()
        match token.kind:
            case "noun" | "name":
                self._noun(token, last)
            case "pronoun":
                self._flush()
                if token.person == "one" and last and before and before.is_a("noun"):
                    last.definite = True
                else:
                    self.items.append(NounPhrase(token))
            case "possessive":
                self._possessive(i, token, last, after)
            case "number" | "quantity" if self._noun_follows(i) and not (last and self._counts_back(i)):
                self.pending.number = token.word
                self.loose.append(token)
            case "number" | "quantity" if last and not last.number and before and before.is_a("noun"):
                last.number = token.word
            case "demonstrative":
                self.pending.demonstrative = token.word
                self.loose.append(token)
            case "adjective" if self._noun_follows(i) and self._modifies_forward(i, last, before):
                self.pending.adjectives.append(self._adjective(token, before))
                self.loose.append(token)
            case "degree" if after and after.is_a("adjective"):
                pass
            case "adjective" if self._adjective_back(i, last, before):
                assert last is not None
                last.adjectives.append(self._adjective(token, before))
            case _:
                self._flush()
                if token.is_a("adjective"):
                    token.word = self._adjective(token, before)
                self.items.append(token)

    def _adjective(self, token: Token, before: Token | None) -> str:
        """An adjective signed twice is meant strongly."""
        if before and before.is_a("degree"):
            return f"{before.word} {token.word}"
        return f"very {token.word}" if token.repeats > 1 else token.word

    def _modifies_forward(self, i: int, last: NounPhrase | None, before: Token | None) -> bool:
        if before and before.is_a("noun") and last and self.has_verb:
            return False
        if before and before.is_a("pronoun") and self.tokens[i].word in lex.PRIVATE_STATES and not self.has_verb:
            return True
        return not (self.tokens[i].word in lex.PRIVATE_STATES and before is None and not self.has_verb)

    def _adjective_back(self, i: int, last: NounPhrase | None, before: Token | None) -> bool:
        """After a noun: part of the phrase when the clause has another predicate, else the predicate itself."""
        if last is None or before is None or not before.is_a("noun"):
            return False
        subjects = [item for item in self.items if isinstance(item, NounPhrase)]
        owned = any(token.is_a("absolute", "place") for token in self.tokens[i + 1 :])
        return (
            self.has_verb
            or owned
            or len(subjects) > 1
            or (self.clause.wh != "" and self.clause.wh not in ("why", "how"))
        )

    def _counts_back(self, i: int) -> bool:
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
        return after is not None and not after.is_a("noun", "adjective")

    def _possessive(self, i: int, token: Token, last: NounPhrase | None, after: Token | None) -> None:
        forms = lex.PRONOUNS[token.person]
        following = self._noun_follows(i)
        free = last is not None and not last.possessor and i > 0 and self.tokens[i - 1].is_a("noun", "name")
        if free and following and after is not None and token.person in ("one", "he", "she", "they"):
            self.pending.possessor = genitive(self._as_owner(last))
            self.items.pop()
        elif (
            free and last and (not following or (last.head.word in lex.PERSONS and after and after.word not in lex.KIN))
        ):
            last.possessor = forms.possessive
        elif following:
            self.pending.possessor = forms.possessive
            self.loose.append(Token(token.gloss, forms.absolute, "absolute"))
        else:
            self.items.append(Token(token.gloss, forms.absolute, "absolute"))

    def _as_owner(self, phrase: NounPhrase | None) -> NounPhrase:
        assert phrase is not None
        if not phrase.possessor and phrase.head.word not in lex.ADDRESSES and not phrase.head.is_a("name"):
            phrase.article = "the"
        return phrase

    def _noun(self, token: Token, last: NounPhrase | None) -> None:
        phrase = NounPhrase(
            token,
            possessor=self.pending.possessor,
            demonstrative=self.pending.demonstrative,
            number=self.pending.number,
            adjectives=self.pending.adjectives,
            plural=token.repeats > 1 and token.word not in lex.MASS,
        )
        bare = not self.loose and not phrase.possessor
        self.loose = []
        self.pending = NounPhrase(Token("", ""))
        if last and bare and self._joins(last, phrase):
            return
        self.items.append(phrase)

    def _joins(self, last: NounPhrase, phrase: NounPhrase) -> bool:
        """Two nouns in a row: two relatives are a pair, a person owns what follows, two things make a compound."""
        first, second = last.head, phrase.head
        if first.word in lex.ATTRIBUTES or second.is_a("name"):
            return False
        if first.word in lex.KIN and second.word in lex.KIN:
            last.others.append(phrase)
            return True
        owner = first.word in lex.PERSONS or first.is_a("name")
        if owner and second.word not in lex.PERSONS and (not self.has_verb or second.word in lex.ATTRIBUTES):
            self.items.pop()
            phrase.possessor = genitive(self._as_owner(last))
            self.items.append(phrase)
            return True
        if (
            not owner
            and second.word not in lex.PERSONS
            and first.is_a("noun")
            and not self.has_verb
            and not last.number
        ):
            last.head = Token(f"{first.gloss} {second.gloss}", f"{first.word} {second.word}", "noun")
            return True
        return False

    def _join_prepositions(self) -> None:
        items: list[Item] = []
        for item in self.items:
            before = items[-1] if items else None
            if isinstance(item, NounPhrase) and isinstance(before, Token) and before.is_a("preposition"):
                items[-1] = Prepositional(before.word, item)
            else:
                items.append(item)
        self.items = items

    def _coordinate(self) -> None:
        """AND, OR, BUT between two of a kind make one."""
        items: list[Item] = []
        i = 0
        while i < len(self.items):
            item = self.items[i]
            before = items[-1] if items else None
            after = self.items[i + 1] if i + 1 < len(self.items) else None
            if isinstance(item, Token) and item.is_a("conjunction"):
                if isinstance(before, NounPhrase) and isinstance(after, NounPhrase):
                    before.others.append(after)
                    if after.possessor and not before.possessor and before.head.word in lex.KIN:
                        before.possessor, after.possessor = after.possessor, ""
                    before.joiner = item.word
                    i += 2
                    continue
                if isinstance(before, Token) and isinstance(after, Token) and before.kind == after.kind == "adjective":
                    before.word = f"{before.word} {item.word} {after.word}"
                    i += 2
                    continue
            items.append(item)
            i += 1
        self.items = items


def genitive(phrase: NounPhrase) -> str:
    """The phrase as an owner: "my friend's", "the teachers'"."""
    text = noun_phrase(phrase)
    return f"{text}'" if phrase.plural and text.endswith("s") else f"{text}'s"
