"""Rules inside a clause, before roles: take out time, negation, question and polite words; build noun phrases."""

from __future__ import annotations

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Item, NounPhrase, Prepositional, Token
from app.pipeline.module4_language.gloss_rules import readable
from app.pipeline.module4_language.inflection import inflected, is_plural
from app.pipeline.module4_language.realise import noun_phrase
from app.pipeline.module4_language.time_rules import DAYS_NAMED


def read_politeness(clause: Clause) -> None:
    """PLEASE becomes one "please", whose place (first for a request, last for a thing) the sentence decides."""
    clause.please = any(token.is_a("please") for token in clause.tokens)
    clause.tokens = [token for token in clause.tokens if not token.is_a("please")]


def read_negation(clause: Clause) -> None:
    """Negative signs anywhere, mostly last, negate the clause; before or after a bare noun they mean "no"."""
    negatives = [token for token in clause.tokens if token.is_a("negative")]
    if not negatives or len(clause.tokens) == 1:
        return
    things = [token for token in clause.tokens if token.is_a("noun") and token.word not in lex.PERSONS]
    if negatives[-1].word == "none" and not things:  # EAT NOTHING
        negatives[-1].kind, negatives[-1].word = "name", readable(negatives[-1].gloss)
        return
    clause.negation = negatives[-1].word
    no_thing = clause.negation == "not" and negatives[-1].gloss == "NO"
    clause.tokens = [token for token in clause.tokens if not token.is_a("negative")]
    predicate = any(token.is_a("verb", "adjective", "place", "preposition", "completive") for token in clause.tokens)
    if no_thing and things and not predicate:
        clause.negation = "none"


def read_modals(clause: Clause) -> None:
    """WILL, CAN, MUST and their like become the auxiliary, wherever they were signed."""
    modals = [token for token in clause.tokens if token.is_a("modal")]
    if modals and (len(clause.tokens) > 1 or clause.negation):
        first, *rest = clause.tokens
        asks = first is modals[0] and first.gloss != "FUTURE" and rest and rest[0].is_a("pronoun")
        clause.question = clause.question or bool(asks)
        clause.modal = modals[0].word
        clause.tokens = [token for token in clause.tokens if not token.is_a("modal")]


def read_completion(clause: Clause) -> None:
    """FINISH beside a verb is the completive: English present perfect, and a definite object."""
    completive = any(token.is_a("completive") for token in clause.tokens)
    if completive and any(token.is_a("verb", "adjective") for token in clause.tokens):
        clause.perfect = any(token.is_a("verb") for token in clause.tokens)  # IX-1 MARRY FINISH has none: married
        clause.tokens = [token for token in clause.tokens if not token.is_a("completive")]


def read_wh(clause: Clause) -> None:
    """A question word, first or last, opens the English question; a noun beside WHAT or HOW-MANY goes with it."""
    position = next((i for i, token in enumerate(clause.tokens) if token.is_a("wh")), None)
    if position is None:
        return
    clause.wh = clause.tokens[position].word
    clause.question = clause.link != "content"
    following = clause.tokens[position + 1] if position + 1 < len(clause.tokens) else None
    if clause.wh == "how" and following is not None and following.is_a("adjective"):
        clause.wh = f"how {following.word}"  # HOW FAR HOSPITAL
        del clause.tokens[position + 1]
    del clause.tokens[position]
    clause.tokens = [token for token in clause.tokens if not token.is_a("wh")]
    if clause.wh in ("how many", "what", "which", "how much"):
        _take_counted_noun(clause, position)


def _take_counted_noun(clause: Clause, position: int) -> None:
    tokens = clause.tokens
    acts = any(token.is_a("verb") for token in tokens) and any(token.is_a("pronoun") for token in tokens)
    for i in (position - 1, position):
        if not 0 <= i < len(tokens) or not tokens[i].is_a("noun"):
            continue
        before = tokens[i - 1] if i else None
        if clause.wh != "how many" and not (acts or (clause.wh == "what" and tokens[i].word in lex.ASKED)):
            continue
        of_verb = clause.wh in ("what", "which") and i == position - 1 and before is not None and before.is_a("verb")
        if not of_verb and not any(token.is_a("possessive") for token in tokens[:i]):
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
    """AGE (or OLD) with a number, or a number with YEAR OLD, is so many years old."""
    tokens = clause.tokens
    for i in range(len(tokens) - 1):
        ahead = tokens[i].word in ("age", "old") and tokens[i + 1].is_a("number")
        spelled = tokens[i].is_a("number") and [other.word for other in tokens[i + 1 : i + 3]] == ["year", "old"]
        if ahead or spelled:
            number = tokens[i + 1 if ahead else i].word
            text = f"{number} {'year' if number == 'one' else 'years'} old"
            clause.tokens = [*tokens[:i], Token("AGE", text, "adjective"), *tokens[i + (2 if ahead else 3) :]]
            return


def link_adjectives(clause: Clause) -> None:
    """What a feeling is about gets its preposition: ``IX-1 PROUD YOU`` -> proud of you, ``AFRAID DOG`` -> of dogs."""
    tokens = clause.tokens
    if any(token.is_a("verb") for token in tokens):
        return
    if len(tokens) == 3 and tokens[0].is_a("noun") and tokens[1].is_a("pronoun"):  # EGG IX-1 ALLERGY
        tokens = [*tokens[1:], tokens[0]] if tokens[2].word in lex.ADJECTIVE_PREPOSITION else tokens
    for i in range(1, len(tokens) - 1):
        token, after = tokens[i], tokens[i + 1]
        if not token.is_a("adjective") or not tokens[i - 1].is_a("pronoun", "noun", "name", "degree"):
            continue
        person = after.is_a("pronoun", "possessive", "name")
        thing = after.is_a("noun", "number", "demonstrative") and token.word not in lex.DESCRIBED
        if token.word in lex.ADJECTIVE_PREPOSITION and (person or thing):
            if token.word in lex.GENERIC_ADJECTIVES and after.is_a("noun"):
                kind_of = after.word if lex.among(after.word, lex.MASS) else inflected(after.word, "NNS")
                tokens[i + 1] = Token(after.gloss, kind_of, "name")
            preposition = Token("", lex.ADJECTIVE_PREPOSITION[token.word], "preposition")
            clause.tokens = [*tokens[: i + 1], preposition, *tokens[i + 1 :]]
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
        for item in self.items:
            if self.clause.wh == "which" and isinstance(item, NounPhrase) and item.joiner == "or":
                self.clause.wh = ""  # WINE OR BEER YOU WANT WHICH
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
            case "number" if last and lex.among(last.head.word, lex.UNCOUNTED) and before and before.is_a("noun"):
                self.items.append(token)
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
        if self.tokens[i].word in lex.IDENTITY:
            return True
        return not (self.tokens[i].word in lex.PRIVATE_STATES and before is None and not self.has_verb)

    def _adjective_back(self, i: int, last: NounPhrase | None, before: Token | None) -> bool:
        """After a noun: part of the phrase when the clause has another predicate, else the predicate itself."""
        if last is None or before is None or not before.is_a("noun"):
            return False
        subjects = [item for item in self.items if isinstance(item, NounPhrase)]
        owned = any(token.is_a("absolute", "place") for token in self.tokens[i + 1 :])
        following = self.tokens[i + 1 : i + 2]
        colored = self.tokens[i].word in lex.COLORS and any(
            token.is_a("adjective") and token.word not in lex.COLORS for token in following
        )
        return (
            self.has_verb
            or owned
            or colored
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
        third = token.person in ("one", "he", "she", "they") and after is not None and following
        if third and last is not None and self.tokens[i - 1].is_a("noun", "name") and not self.has_verb:
            self.pending.possessor = genitive(self._as_owner(last))
            self.items.pop()
        elif (
            free and last and (not following or (last.head.word in lex.PERSONS and after and after.word not in lex.KIN))
        ):
            last.possessor = forms.possessive
        elif following:
            self.pending.possessor = forms.possessive
            self.loose.append(Token(token.gloss, forms.absolute, "absolute"))
        elif token.gloss == "HER" and self.has_verb:
            self.items.append(NounPhrase(Token(token.gloss, "she", "pronoun", person="she")))
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
            plural=(token.repeats > 1 and not lex.among(token.word, lex.MASS)) or is_plural(token.word),
        )
        bare = not self.loose and not phrase.possessor
        self.loose = []
        self.pending = NounPhrase(Token("", ""))
        if last and bare and self._joins(last, phrase):
            return
        self.items.append(phrase)

    def _joins(self, last: NounPhrase, phrase: NounPhrase) -> bool:
        """Two nouns in a row: two of a kind are a list, a person owns what follows, two things make a compound."""
        first, second = last.head, phrase.head
        field = second.word in lex.BARE or second.word in lex.NAMED_THINGS
        apart = first.word in lex.ATTRIBUTES or first.gloss in DAYS_NAMED or second.word in lex.AILMENTS
        if apart or (second.is_a("name") and not field):
            return False
        if any(first.word in group and second.word in group for group in lex.LISTED):
            last.others.append(phrase)
            return True
        if field and not self.has_verb and first.is_a("noun") and first.word not in lex.KIN:
            if last.possessor and first.word not in lex.PERSONS:
                return False  # MY MAJOR PSYCHOLOGY
            return self._compound(last, second, first, phrase.plural)  # TEACHER ASL
        named = first.is_a("name") and first.word not in lex.NAMED_THINGS
        owner = named or lex.among(first.word, lex.PERSONS)
        if self._owns(first, second) if owner else second.word in lex.THING_ATTRIBUTES:
            self.items.pop()
            phrase.possessor = genitive(self._as_owner(last))
            self.items.append(phrase)
            return True
        topical = first.word in lex.BARE or first.word in lex.NAMED_THINGS
        person = second.word in lex.PERSONS and (second.word in lex.KIN or not topical)
        there = self.has_verb and second.word in lex.PLACE_PREPOSITION
        if owner or person or last.number or (there and (second.is_a("name") or first.word not in lex.BARE)):
            return False
        reverse = first.word in lex.DISHES  # SANDWICH CHEESE
        return self._compound(last, *((second, first) if reverse else (first, second)), phrase.plural)

    def _compound(self, last: NounPhrase, first: Token, second: Token, plural: bool) -> bool:
        last.head = Token(f"{first.gloss} {second.gloss}", f"{first.word} {second.word}", "noun")
        last.plural = plural
        return True

    def _owns(self, first: Token, second: Token) -> bool:
        """Whether the person owns the thing: not what a verb does to it, and not the hospital where they are."""
        if self.has_verb:
            pet = second.word in lex.ANIMALS and first.word not in lex.ANIMALS and self._acts_alone()
            return pet or second.word in lex.ATTRIBUTES
        there = second.word in lex.WHEREABOUTS and second is self.tokens[-1] and not self.clause.wh
        return second.word not in lex.PERSONS and not there

    def _acts_alone(self) -> bool:
        """Whether the verb of the clause has no object: NEIGHBOR DOG BARK."""
        return all(token.word in lex.INTRANSITIVE for token in self.tokens if token.is_a("verb"))

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
