"""Rules on the row of signs: make glosses readable, join what belongs together, give every sign its word class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Draft, Kind, Token
from app.pipeline.module4_language.inflection import inflected, number_words, word_classes

_REPEAT = re.compile(r"\++$")
_NOTES = re.compile(r"\([^)]*\)|^(?:CL|LCL|SCL|BCL)(?:-\w+)?:|^DESC-(?=\w)|^#(?=\w)")
_PREFIXED_PRONOUN = re.compile(r"^X-(?=\w+$)")
_LETTER = re.compile(r"^FS-(\w)$")
_SPELLED = re.compile(r"^FS-?([\w-]{2,})$")
_UNREADABLE = re.compile(r"[^\w'?+#:/()&-]|_")
MAX_DIGIT_WORDS = 10


def clean_glosses(glosses: Iterable[str]) -> list[str]:
    """Upper-case glosses without white space, control characters or stray punctuation; without a letter, none."""
    cleaned: list[str] = []
    for gloss in glosses:
        for part in unicodedata.normalize("NFKC", str(gloss)).upper().replace("’", "'").split():
            text = _UNREADABLE.sub("-", part)
            if text in lex.QUESTION_GLOSSES or any(character.isalnum() for character in text):
                cleaned.append(text)
            elif "?" in text:
                cleaned.append("?")
    return cleaned


def readable(gloss: str) -> str:
    """English words of a gloss that is not in the lexicon: ``ICE-CREAM`` -> "ice cream"."""
    return " ".join(re.sub(r"[^\w']+", " ", gloss).strip(" '_").lower().split())


def read_glosses(draft: Draft) -> None:
    """Strip notation (``DESC-``, ``X-``, ``#``, ``++``), open signs that hold a negation, read hyphens as spaces."""
    tokens: list[Token] = []
    for token in draft.tokens:
        if token.gloss in lex.QUESTION_GLOSSES:
            tokens.append(Token("?", "?", "question"))
            continue
        gloss = _NOTES.sub("", token.gloss)
        asks = gloss.endswith("?")
        repeats = 2 if _REPEAT.search(gloss) else 1
        gloss = _REPEAT.sub("", gloss).strip("-?'/&:+")
        bare = _PREFIXED_PRONOUN.sub("", gloss)
        if bare in lex.PRONOUN_GLOSSES or bare in lex.POSSESSIVE_GLOSSES:
            gloss = bare
        for part in lex.NEGATIVE_VERBS.get(gloss, (gloss,)):
            if word := readable(part):
                described = token.gloss.startswith("DESC-") and "ADJ" in word_classes(word)
                kind: Kind = "adjective" if described and word not in lex.QUANTITIES else "noun"
                tokens.append(Token(part, word, kind, repeats=repeats))
        if asks:
            tokens.append(Token("?", "?", "question"))
    draft.tokens = tokens


def join_compounds(draft: Draft, compounds: Mapping[tuple[str, ...], str]) -> None:
    """Read two signs that form one word together as that word: ``HOW MANY``, and in ISL ``PLACE WHAT`` for "where"."""
    tokens: list[Token] = []
    i = 0
    while i < len(draft.tokens):
        pair = tuple(token.gloss for token in draft.tokens[i : i + 2])
        # "What time is it?" is all of ASL's TIME WHAT; in ISL it asks "when" of whatever stands before it.
        if pair in compounds and not (pair == ("TIME", "WHAT") and len(draft.tokens) == 2):
            gloss = compounds[pair]
            tokens.append(Token(gloss, readable(gloss)))
            i += 2
        else:
            tokens.append(draft.tokens[i])
            i += 1
    draft.tokens = tokens


def join_fingerspelling(draft: Draft) -> None:
    """Join a run of spelled letters to a name (``FS-A FS-N FS-N`` -> Ann); a letter on its own stays a letter."""
    tokens: list[Token] = []
    letters = ""

    def close() -> None:
        if letters:
            word = lex.PROPER.get(letters.lower(), letters.capitalize())
            tokens.append(Token(f"FS-{letters}", word, "name"))

    for token in draft.tokens:
        if match := _LETTER.match(token.gloss):
            letters += match[1]
            continue
        close()
        letters = ""
        if match := _SPELLED.match(token.gloss):
            word = readable(match[1])
            tokens.append(Token(token.gloss, lex.PROPER.get(word, word.title()), "name"))
        else:
            tokens.append(token)
    close()
    draft.tokens = tokens


def read_numbers(draft: Draft) -> None:
    """Join number signs (``TWENTY FIVE`` -> twenty-five) and write digits up to ten as words."""
    tokens: list[Token] = []
    for token in draft.tokens:
        value = lex.NUMBER_WORDS.get(token.word)
        if token.gloss.isascii() and token.gloss.isdigit():
            small = len(token.gloss) <= 2 and int(token.gloss) <= MAX_DIGIT_WORDS
            tokens.append(Token(token.gloss, number_words(int(token.gloss)) if small else token.gloss, "number"))
        elif value is None or token.word == "zero":
            tokens.append(token)
        elif tokens and value < 10 and lex.NUMBER_WORDS.get(tokens[-1].word, 0) >= 20:
            tokens[-1].word += f"-{token.word}"
        elif token.word == "hundred":
            tokens[-1].word += " hundred"
        else:
            tokens.append(Token(token.gloss, token.word, "number"))
    draft.tokens = tokens


def merge_repetition(draft: Draft) -> None:
    """Read a sign made again as one sign with a repeat count; what it means depends on its class."""
    tokens: list[Token] = []
    for token in draft.tokens:
        last = tokens[-1] if tokens else None
        if last and last.gloss == token.gloss and token.kind not in ("name", "number"):
            last.repeats += 1
        else:
            tokens.append(token)
    draft.tokens = tokens


def find_expressions(draft: Draft) -> None:
    """Replace fixed expressions (``NICE MEET YOU``) that stand as a sentence of their own by their English."""
    tokens = draft.tokens
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        match = _expression_at(tokens, i, result)
        if match:
            text, end = lex.EXPRESSIONS[match]
            result.append(Token(" ".join(match), text, "expression", end=end))
            i += len(match)
        else:
            result.append(tokens[i])
            i += 1
    draft.tokens = result


def _expression_at(tokens: Sequence[Token], i: int, before: Sequence[Token]) -> tuple[str, ...] | None:
    glosses = tuple(token.gloss for token in tokens[i : i + 4])
    for size in range(len(glosses), 0, -1):
        key = glosses[:size]
        if key not in lex.EXPRESSIONS:
            continue
        after = tokens[i + size] if i + size < len(tokens) else None
        ends = after is None or after.kind == "question" or _starts_sentence(after.gloss)
        starts = not before or before[-1].kind in ("expression", "question", "name") or _opens(before[-1].gloss)
        # A question after a finished statement: IX-1 GOOD HOW YOU.
        starts = starts or (len(before) > 1 and "HOW" in key and before[-1].word in lex.ADJECTIVES)
        if size == 1 or (ends and starts):
            return key
    return None


def _opens(gloss: str) -> bool:
    return gloss in lex.COMMA_OPENERS or gloss in lex.THANKS or gloss in lex.FAREWELLS


def _starts_sentence(gloss: str) -> bool:
    return _opens(gloss) or gloss in lex.POSSESSIVE_GLOSSES or gloss in lex.PRONOUN_GLOSSES


def point_at_persons(draft: Draft) -> None:
    """Read index signs and possessives as persons; case ("I", "me") is left to where the word will stand."""
    for token in draft.tokens:
        if token.kind != "noun":
            continue
        if person := lex.PRONOUN_GLOSSES.get(token.gloss):
            token.kind, token.person = "pronoun", person
        elif person := lex.POSSESSIVE_GLOSSES.get(token.gloss):
            token.kind, token.person = "possessive", person
        elif person := lex.ABSOLUTE_GLOSSES.get(token.gloss):
            token.kind, token.person = "absolute", person


def class_words(draft: Draft) -> None:
    """Give every remaining sign its word class, from the lexicon, its neighbours, and last the dictionary."""
    tokens = draft.tokens
    for i, token in enumerate(tokens):
        if token.kind == "noun":
            before = tokens[i - 1] if i else None
            after = tokens[i + 1] if i + 1 < len(tokens) else None
            token.kind = _closed_class(token, before, after) or _open_class(token, before, after, tokens)
    _read_ago(draft)


def _closed_class(token: Token, before: Token | None, after: Token | None) -> Kind | None:
    gloss, word = token.gloss, token.word
    first = before is None or before.is_a("opener", "expression", "thanks", "farewell", "question")
    if gloss == "PLEASE":
        return "please"
    if gloss == "SORRY" and after is None and before is not None and before.is_a("adjective", "verb", "noun"):
        return "thanks"  # said after the fact: IX-1 LATE SORRY
    if gloss in lex.COMMA_OPENERS and (first or lex.COMMA_OPENERS[gloss] in lex.GREETINGS):
        token.word = lex.COMMA_OPENERS[gloss]
        return "opener"
    for table, kind in ((lex.THANKS, "thanks"), (lex.FAREWELLS, "farewell")):
        if gloss in table:
            token.word = table[gloss]
            return kind  # type: ignore[return-value]
    if word == "if":
        return "if"
    if word == "because":
        return "because"
    if word in lex.TIME_WORDS:
        token.word, token.tense = lex.TIME_WORDS[word]
        return "time"
    if word in lex.WH_WORDS:
        token.word = lex.WH_WORDS[word]
        return "wh"
    if word in lex.NEGATIVES:
        token.word = lex.NEGATIVES[word]
        return "negative"
    if word in lex.MODALS:
        token.word = lex.MODALS[word]
        return "modal"
    if word in lex.PROPER:
        token.word = lex.PROPER[word]
        return "name"
    if gloss == "IX-LOC" or word in lex.DEMONSTRATIVES:
        points = after is not None and after.kind == "noun" and _is_noun(after)
        token.word = lex.DEMONSTRATIVES["ix-loc" if gloss == "IX-LOC" else word]
        if points:
            return "demonstrative"
        token.word = "there" if gloss == "IX-LOC" else token.word
        return "place" if gloss == "IX-LOC" else "noun"
    if word in lex.PLACES and not (before and before.is_a("possessive", "adjective", "pronoun") and word == "home"):
        return "place"
    if word in lex.CONJUNCTIONS:
        return "conjunction"
    for words, kind in (
        (lex.PREPOSITIONS, "preposition"),
        (lex.QUANTITIES, "quantity"),
        (lex.DEGREE, "degree"),
        (lex.FREQUENCY | lex.ADVERBS, "adverb"),
    ):
        if word in words:
            return kind  # type: ignore[return-value]
    return None


def _is_noun(token: Token) -> bool:
    return token.word in lex.NOUNS or ("NOUN" in word_classes(token.word) and token.word not in lex.VERBS)


def _open_class(token: Token, before: Token | None, after: Token | None, tokens: Sequence[Token]) -> Kind:
    word = token.word
    if word in lex.COMPLETIVES:
        others = [other for other in tokens if other is not token and other.word in lex.VERBS]
        if word == "finish" and not others and before and before.is_a("noun") and before.word not in lex.PERSONS:
            token.word = "finished"
            return "adjective"
        return "completive" if others else "verb"
    if word == "eat" and before is None and after and after.word in lex.ADJECTIVES:
        token.word = "food"  # one sign for both
        return "noun"
    if word == "sign" and before and before.word in ("learn", "know", "teach", "study", "practice"):
        token.word = "sign language"
        return "noun"
    if word == "help":
        near = [other.word for other in (before, after) if other]
        alone = after is None or after.is_a("question", "please") or after.word in ("need", "want")
        return "noun" if alone and ("need" in near or "want" in near) else "verb"
    if word == "work" and before and before.word in ("go", "finish", "my"):
        return "noun"
    if word == "good" and before and before.kind == "verb" and not (after and _is_noun(after)):
        token.word = "well"
        return "adverb"
    asked = any(other.gloss == "PLEASE" for other in tokens)
    acts = word in lex.VERBS and (asked or (before is not None and before.is_a("pronoun", "modal")))
    if word in lex.ADJECTIVES and not acts:
        return "adjective"
    determined = before is not None and before.is_a("possessive", "number", "quantity", "adjective", "preposition")
    if word in lex.VERBS and not (determined and word in lex.NOUNS):
        return "verb"
    if word in lex.NOUNS:
        return "noun"
    return _guess(word, before, determined, any(other.kind == "verb" for other in tokens))


def _guess(word: str, before: Token | None, determined: bool, has_verb: bool) -> Kind:
    classes = word_classes(word)
    if not classes:
        return "noun"
    if "VERB" in classes and "NOUN" in classes:
        verb_place = before is not None and before.is_a("pronoun", "modal", "please", "negative") and not has_verb
        return "verb" if verb_place and not determined else "noun"
    if "ADJ" in classes and not determined and "NOUN" in classes:
        return "adjective" if before is not None and before.is_a("pronoun", "noun", "degree") else "noun"
    for name, kind in (("NOUN", "noun"), ("VERB", "verb"), ("ADJ", "adjective"), ("ADV", "adverb")):
        if name in classes:
            return kind  # type: ignore[return-value]
    return "noun"


def _read_ago(draft: Draft) -> None:
    """Join ``TWO DAY AGO`` (or ``PAST``) to one time expression."""
    tokens = draft.tokens
    for i in range(len(tokens) - 2):
        number, unit, ago = tokens[i : i + 3]
        if number.kind == "number" and unit.word in lex.TIME_UNITS and ago.word in ("ago", "past", "before"):
            noun = unit.word if number.word == "one" else inflected(unit.word, "NNS")
            joined = Token(f"{number.gloss} {unit.gloss} AGO", f"{number.word} {noun} ago", "time", tense="past")
            draft.tokens = [*tokens[:i], joined, *tokens[i + 3 :]]
            return
