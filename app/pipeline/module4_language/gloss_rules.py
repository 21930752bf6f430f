"""Rules on the row of signs: make glosses readable, join what belongs together, give every sign its word class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language.draft import Draft, Kind, Token
from app.pipeline.module4_language.inflection import number_words, word_classes

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
        # "What time is it?" is all of TIME WHAT; with more it asks "what time", in ISL "when".
        if pair in compounds and not (pair in lex.EXPRESSIONS and len(draft.tokens) == 2):
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
    """Join number signs (``TWENTY FIVE``, ``TEN THOUSAND``, digits one by one), write digits up to ten as words."""
    tokens: list[Token] = []
    for token in draft.tokens:
        value = lex.NUMBER_WORDS.get(token.word)
        last = tokens[-1] if tokens and tokens[-1].kind == "number" else None
        if token.gloss.isascii() and token.gloss.isdigit():
            small = len(token.gloss) <= 2 and int(token.gloss) <= MAX_DIGIT_WORDS
            tokens.append(Token(token.gloss, number_words(int(token.gloss)) if small else token.gloss, "number"))
        elif last and value is not None and 0 < value < 10 and lex.NUMBER_WORDS.get(last.word, 0) >= 20:
            last.word += f"-{token.word}"
        elif last and (token.word in lex.MULTIPLIERS or (value is not None and value < 10)):
            last.word += f" {token.word}"
        elif last and token.word == "percent":
            last.word += " percent"
        elif value is None or token.word == "zero":
            tokens.append(token)
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
        asks = i + size + 1 < len(tokens) and tokens[i + size].word in lex.WH_WORDS
        ends = after is None or after.kind == "question" or asks or _starts_sentence(after.gloss)
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


def read_subject_copy(draft: Draft) -> None:
    """A subject pointed at again at the end is said once; YOU there asks: ``YOU MARRY YOU``, ``IX-1 FINE YOU``."""
    tokens = draft.tokens
    begin = max((i + 1 for i, token in enumerate(tokens) if token.is_a("expression", "question")), default=0)
    pronouns = [i for i in range(begin, len(tokens)) if tokens[i].is_a("pronoun")]
    if len(pronouns) < 2 or pronouns[-1] < len(tokens) - 1 or pronouns[-1] - pronouns[0] == 1:
        return
    between = tokens[pronouns[-2]]
    echoed = pronouns[0] if between is tokens[-2] else pronouns[-2]  # YOU UNDERSTAND IX-1 YOU, or the one before
    if tokens[pronouns[0]].person == "i" and tokens[-1].person == "you" and tokens[-2].gloss in ("FINE", "GOOD", "OK"):
        tokens[-1] = Token("YOU", "and you", "expression", end="?")
    if tokens[echoed].person == tokens[-1].person:
        asks = tokens[-1].person == "you"
        draft.tokens = [*tokens[:-1], *([Token("?", "?", "question")] if asks else [])]
