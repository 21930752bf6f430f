"""Rules that find where sentences begin: greetings, thanks, conditions, reasons, a new subject with its predicate."""

from __future__ import annotations

from collections.abc import Sequence

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Clause, Draft, Kind, Token

_CONTENT: tuple[Kind, ...] = ("verb", "adjective", "noun", "name", "preposition", "place", "wh", "absolute", "number")


def split_sentences(draft: Draft) -> None:
    """Cut the row of signs into clauses: at greetings, expressions, and a new subject with a new predicate."""
    splitter = _Splitter(draft.tokens)
    draft.clauses = splitter.split()


class _Splitter:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.done: list[Clause] = []
        self.clause = Clause()

    def close(self) -> None:
        if self.clause.tokens or self.clause.openers or self.clause.fixed:
            self.done.append(self.clause)
        self.clause = Clause()

    def split(self) -> list[Clause]:
        i = 0
        while i < len(self.tokens):
            i = self._take(i)
        self.close()
        return self.done

    def _take(self, i: int) -> int:
        token, clause = self.tokens[i], self.clause
        if token.is_a("opener"):
            if clause.tokens:
                self.close()
            self.clause.openers.extend([token.word] * token.repeats)
            return self._vocative(i + 1)
        if token.is_a("expression", "farewell"):
            if clause.tokens or (token.is_a("farewell") and clause.openers):
                self.close()
            self.clause.fixed, self.clause.end = token.word, token.end
            i = self._vocative(i + 1)
            self.close()
            return i
        if token.is_a("thanks"):
            return self._thanks(i)
        if token.is_a("question"):
            if clause.tokens:
                asked = self.done[-1] if clause.link == "content" else clause
                asked.question = True
                self.close()
            elif self.done and not clause.openers:
                self.done[-1].end = "?"
            return i + 1
        if token.is_a("if") and not clause.tokens:
            clause.link = "if"
            return i + 1
        if clause.tokens and (link := self._new_clause(i)) is not None:
            inherits = link == "inherit"
            condition = clause.link == "if"
            subject = self._subject_of(clause.tokens) if inherits else None
            requested = any(word.is_a("please") for word in self._rest(i))
            if requested or (condition and subject is not None and subject.person == "you"):
                subject = None  # IF YOU SICK STAY HOME; IX-1 LOST HELP PLEASE
            self.close()
            self.clause.link = "then" if condition else ("" if inherits else link)
            if subject:
                self.clause.tokens.append(subject)
            if (
                token.is_a("conjunction", "because")
                or (condition and token.word == "then")
                or (token.is_a("wh") and link == "because")
            ):
                return i + 1
        self.clause.tokens.append(token)
        return i + 1

    def _vocative(self, i: int) -> int:
        """Take the name of the person spoken to, when nothing is said *of* that person."""
        if i >= len(self.tokens):
            return i
        token = self.tokens[i]
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
        addressed = token.kind == "name" or token.word in lex.ADDRESSES or (after is None and token.word in lex.PERSONS)
        alone = after is None or after.is_a("expression", "opener", "thanks", "farewell", "question", "pronoun")
        if addressed and (alone or (after is not None and after.kind == "possessive" and i + 2 < len(self.tokens))):
            name = token.word.capitalize() if token.word in lex.ADDRESSES else token.word
            if self.clause.fixed:
                self.clause.vocative = name
            else:
                self.clause.openers.append(name)
            return i + 1
        return i

    def _thanks(self, i: int) -> int:
        token, clause = self.tokens[i], self.clause
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
        feeling = any(word.is_a("adjective") for word in clause.tokens) and not any(
            word.is_a("verb", "wh") for word in clause.tokens
        )
        if feeling and (after is None or after.is_a("farewell", "opener", "expression")):
            clause.closer = token.word
            self.close()
            return i + 1
        if feeling and after is not None and after.person == "you" and i + 2 == len(self.tokens):
            clause.closer = token.word  # FINE THANK-YOU YOU: the question goes back
            self.close()
            self.clause.fixed, self.clause.end = "you", "?"
            self.close()
            return i + 2
        if clause.tokens:
            self.close()
        if after is not None and (after.is_a("verb", "possessive") or after.word == "for"):
            self.clause.openers.append(token.word if after.word == "for" else f"{token.word} for")
            self.clause.gerund = True
            return i + 1
        self.clause.fixed, self.clause.end = token.word, "."
        if after is not None and after.gloss in ("VERY-MUCH", "MUCH"):
            self.clause.fixed += " very much"
            i += 1
        i = self._vocative(i + 1)
        self.close()
        return i

    def _subject_of(self, tokens: Sequence[Token]) -> Token | None:
        return next((token for token in tokens if token.is_a("pronoun", "name")), None)

    def _new_clause(self, i: int) -> str | None:
        """The conjunction a new clause at ``i`` starts with ("" full stop, "inherit" keeps the subject), or None."""
        token, before = self.tokens[i], self.clause.tokens
        following = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
        event = before[0].is_a("noun") and before[-1].is_a("time") and not any(word.is_a("verb") for word in before)
        if event and token.is_a("pronoun") and following is not None and following.is_a("adjective"):
            return ""  # SURGERY TOMORROW IX-1 AFRAID
        if not self._complete(before):
            return None
        weather = any(word.word in lex.WEATHER for word in before)
        told = weather or not any(word.is_a("verb") for word in before)
        described = token.is_a("noun") and following is not None and following.is_a("adjective")
        if described and told and (weather or before[-1].is_a("adjective")):
            return ""  # IX-1 LATE TRAFFIC BAD
        rest = self._rest(i + 1)
        if token.is_a("because") or (token.word == "why" and rest and before[0].person != "you"):
            event = any(word.is_a("time") for word in rest) and any(word.is_a("noun") for word in rest)
            return "because" if rest and (event or self._predicate_in(rest)) else None
        if token.is_a("conjunction"):
            return token.word if self._starts_clause(rest, before, after_conjunction=True) else None
        previous = before[-1]
        if previous.word in lex.CONTENT_VERBS and len(rest) > 0 and token.is_a("pronoun", "possessive", "name", "noun"):
            return "content" if self._predicate_in(rest) else None
        again = token.word == "again" and rest and rest[0].is_a("please") and any(t.is_a("negative") for t in before)
        if again or (token.is_a("time") and token.word == "then" and rest):
            return ""  # NOT UNDERSTAND AGAIN PLEASE
        if previous.word in lex.ASKING and token.is_a("wh") and rest:
            return "content"
        if previous.is_a("preposition", "conjunction") or previous.word in lex.CLAUSE_TAKERS:
            return None
        if token.is_a("verb") and previous.is_a("adjective") and self._has_subject(before):
            of_subject = len(before) == 2 or previous.word in lex.PRIVATE_STATES
            state = token.word in lex.CONTROL & lex.STATES or previous.word not in lex.FEELINGS
            return "inherit" if of_subject and state and before[0].is_a("pronoun") else None
        return "" if self._starts_clause([token, *rest], before) else None

    def _rest(self, i: int) -> list[Token]:
        rest: list[Token] = []
        for token in self.tokens[i:]:
            if token.is_a("opener", "expression", "thanks", "farewell", "question", "because", "if"):
                break
            rest.append(token)
        return rest

    def _has_subject(self, tokens: Sequence[Token]) -> bool:
        return tokens[0].is_a("pronoun", "possessive", "name") or tokens[0].word in lex.PERSONS

    def _complete(self, tokens: Sequence[Token]) -> bool:
        if any(token.word in lex.WEATHER for token in tokens):
            return True
        verbs = any(token.is_a("verb") for token in tokens)
        if any(token.is_a("wh") for token in tokens) and not tokens[-1].is_a("wh"):
            return verbs and tokens[0].is_a("wh") and len(tokens) > 3
        if len(tokens) < 2:
            return False
        return verbs or self._states_something(tokens)

    def _states_something(self, tokens: Sequence[Token]) -> bool:
        """A subject and a predicate without a verb: an adjective, a named name, a noun said of a pronoun."""
        while tokens[-1].is_a("time") and len(tokens) > 1:
            tokens = tokens[:-1]
        if tokens[-1].is_a("adjective", "place", "absolute"):
            named = any(token.is_a("pronoun", "name", "noun") for token in tokens[:-1])
            return named and tokens[0].is_a("pronoun", "possessive", "name", "noun", "demonstrative")
        named = any(token.word in lex.ATTRIBUTES for token in tokens)
        if tokens[-1].is_a("name", "number") and (named or tokens[0].is_a("pronoun")):
            return True
        return tokens[0].is_a("pronoun") and tokens[-1].is_a("noun") and len(tokens) > 1

    def _starts_clause(self, rest: Sequence[Token], before: Sequence[Token], after_conjunction: bool = False) -> bool:
        if not rest:
            return False
        first = rest[0]
        pronoun = first.is_a("pronoun")
        if not pronoun and not first.is_a("possessive", "name") and first.word not in lex.PERSONS and not (
            first.is_a("time") and not after_conjunction and any(t.is_a("time") for t in before)
        ):  # fmt: skip
            return False
        if first.word in lex.NAMED_THINGS and not after_conjunction:
            return False  # FLY CHICAGO VISIT MY SISTER
        if first.is_a("time") and not after_conjunction:
            return len(rest) > 1 and rest[1].is_a("pronoun", "possessive") and self._predicate_in(rest[2:])
        if first.person == "one" and before[-1].is_a("noun") and not any(t.is_a("verb", "adjective") for t in before):
            return False
        open_verb = before[-1].is_a("verb") and before[-1].word not in lex.INTRANSITIVE
        following = rest[1:]
        if open_verb and not after_conjunction:
            return pronoun and bool(following) and following[0].is_a("verb", "modal", "negative", "adjective") and (
                self._predicate_in(following)
            )  # fmt: skip
        if pronoun:
            subjectless = before[-1].is_a("verb") and not any(word.is_a("pronoun") for word in before)
            if subjectless and before[-1].word not in lex.WEATHER:
                return False
            return any(token.is_a(*_CONTENT) for token in following) and not following[0].is_a("conjunction")
        if first.is_a("possessive") and before[-1].is_a("noun") and not following:
            return False
        if first.is_a("name") and before[-1].word in lex.ATTRIBUTES:
            return False
        return self._predicate_in(following)

    def _predicate_in(self, tokens: Sequence[Token]) -> bool:
        if any(token.is_a("verb") or token.word in lex.ATTRIBUTES for token in tokens):
            return True
        return bool(tokens) and any(token.is_a("adjective", "place", "absolute") for token in tokens)
