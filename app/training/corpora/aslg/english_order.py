"""Glosses that already stand in English order (signed English, ASLG-PC12): restore inflection, articles and "of".

Such glosses keep English word order and write out BE, commas and full stops; what they lost is what a lemmatiser and a
list of dropped words took away. Read left to right: each verb takes the form its auxiliary or subject asks for, a bare
noun phrase gets the article of its place (subjects and what follows a preposition are definite, described objects are
new), and noun phrases side by side get "of" back. ASLG-PC12 (Othman and Jemni 2012) marks pronouns X-, adjectives and
adverbs DESC-, and cut every "the", inside words too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.pipeline.module4_language import lexicon as lex
from app.pipeline.module4_language import to_english
from app.pipeline.module4_language.gloss_rules import clean_glosses, readable
from app.pipeline.module4_language.inflection import inflected, with_article, word_classes
from app.pipeline.module4_language.realise import finish_sentence

Class = Literal[
    "pronoun", "noun", "verb", "adjective", "adverb", "modal", "be", "determiner", "preposition", "other", "edge"
]

#: Words from which ASLG's cut of every "the" took a piece.
CUT_WORDS: dict[str, str] = {
    "DESC-RE": "there",
    "DESC-REFORE": "therefore",
    "DESC-OR": "other",
    "DESC-FURR": "further",
    "FURR": "further",
    "DESC-TOGER": "together",
    "DESC-FURRMORE": "furthermore",
    "DESC-NEVERLESS": "nevertheless",
    "ANOR": "another",
    "WHER": "whether",
    "SE": "these",
    "N": "then",
    "EIR": "either",
    "NEIR": "neither",
    "X-MSELVES": "themselves",
    "X-IRS": "theirs",
}
PRONOUN_KEYS: dict[str, str] = {
    "X-I": "i", "X-YOU": "you", "X-HE": "he", "X-SHE": "she", "X-IT": "it", "X-WE": "we", "X-Y": "they",
    "X-THEY": "they",
}  # fmt: skip
MODALS = lex.words("will can must should would could may might shall cannot do does did let")
PREPOSITIONS = lex.PREPOSITIONS | lex.words(
    "by into through towards against during within upon under over among before since until beyond outside inside "
    "despite concerning regarding including across around as than"
)
DETERMINERS = lex.words(
    "this that these those every each any some no all both many several few another such one either neither my your "
    "his her its our their which what whose more most much enough"
)
PLURAL_DETERMINERS = lex.words("these those all both many several few other various different numerous")
CONJUNCTIONS = lex.words("and or but if when while because whether that who which where why how as than nor")
COMMON_VERBS = lex.VERBS | lex.words(
    "have be do ask support require ensure vote concern include provide welcome congratulate propose adopt improve "
    "create allow achieve consider continue increase reduce protect promote urge call hope regard follow seem appear "
    "represent involve affect enable develop implement play lead bring put set hold thank refer remain reject agree "
    "state say note address deal cover mention raise face"
)
ABSTRACT_ENDINGS = ("ism", "ness", "ship", "hood", "ics")
MASS_NOUNS = lex.MASS | lex.words(
    "parliament europe peace democracy security energy freedom growth trade education employment health legislation "
    "transparency access cooperation protection unemployment poverty tax debt aid competition solidarity justice "
    "progress research law account part place favor favour order respect"
)
_POSSESSIVES = frozenset(forms.possessive for forms in lex.PRONOUNS.values())
_MARKS = frozenset(",.?!;:")


@dataclass(slots=True)
class _Word:
    text: str
    kind: Class
    base: str
    marked: bool = False  # the gloss itself said "descriptive"
    person: str = ""
    plural: bool = False


#: What stands before the first word and behind the last.
_EDGE = _Word("", "edge", "")


def english_of(glosses: Sequence[str]) -> str:
    """English for one line of the corpus; lines that are not in English order go through the grammar of ASL."""
    return restore_english(glosses) if in_english_order(glosses) else to_english(glosses, "ase")


def in_english_order(glosses: Sequence[str]) -> bool:
    """Whether the glosses are English with the endings gone: they write BE, X- pronouns, or commas and full stops."""
    if len(glosses) < 3:
        return False
    words = [gloss.upper() for gloss in glosses]
    signed_english = any(word in ("BE", "THE", "IS", "ARE") or word in PRONOUN_KEYS for word in words)
    return signed_english or any(word in (",", ".", ";") for word in words)


def restore_english(glosses: Sequence[str]) -> str:
    """English text for glosses in English order, capitalised and punctuated like :func:`to_english`'s."""
    words = [word for gloss in glosses if (word := _read(gloss)) is not None]
    if not any(word.base not in _MARKS for word in words):
        return ""
    for i in range(len(words)):
        _settle_class(words, i)
    for i in range(len(words)):
        _inflect(words, i)
    for i in range(len(words) - 1):
        if words[i].base == "can" and words[i + 1].base == "not":
            words[i].text, words[i + 1].text = "cannot", ""
    text = " ".join(part for part in _with_small_words(words) if part)
    for mark in _MARKS:
        text = text.replace(f" {mark}", mark)
    return finish_sentence(text, "?" if text.endswith("?") else ".")


def _read(gloss: str) -> _Word | None:
    gloss = gloss.strip().upper()
    if gloss in _MARKS:
        return _Word(gloss, "other", gloss)
    if gloss == "X-POSS":
        return _Word("'s", "other", "'s")
    if gloss in PRONOUN_KEYS:
        person = PRONOUN_KEYS[gloss]
        return _Word(lex.PRONOUNS[person].subject, "pronoun", person, person=person)
    word = CUT_WORDS.get(gloss) or readable(" ".join(clean_glosses([gloss.removeprefix("X-").removeprefix("DESC-")])))
    if not word:
        return None
    marked = gloss.startswith("DESC-")
    return _Word(word, _class(word, marked), word, marked)


def _class(word: str, marked: bool) -> Class:
    if word in ("be", "is", "are"):
        return "be"
    if word in MODALS:
        return "modal"
    if word in DETERMINERS or word.isdigit() or word in lex.NUMBER_WORDS:
        return "determiner"
    if word in PREPOSITIONS or word == "to":
        return "preposition"
    if word in CONJUNCTIONS:
        return "other"
    classes = word_classes(word)
    if marked:
        if not classes and not word.endswith("ly"):
            return "adjective"
        return "adverb" if "ADJ" not in classes or word in ("not", "also", "now", "here", "so", "very") else "adjective"
    if word == "have" or (word in COMMON_VERBS and "NOUN" not in classes) or classes == {"VERB"}:
        return "verb"
    if "NOUN" in classes or not classes:
        return "noun"
    return "verb" if "VERB" in classes else "adjective"


def _at(words: Sequence[_Word], i: int) -> _Word:
    return words[i] if 0 <= i < len(words) else _EDGE


def _next(words: Sequence[_Word], i: int, step: int) -> int:
    """Where the nearest word to the left (step -1) or right (1) of ``i`` stands that is no adverb."""
    i += step
    while _at(words, i).kind == "adverb":
        i += step
    return i


def _opens_clause(word: _Word) -> bool:
    """Whether a clause begins behind this word."""
    return word is _EDGE or word.base in _MARKS or word.base in CONJUNCTIONS


def _settle_class(words: list[_Word], i: int) -> None:
    """A word that is noun or verb is a verb after "to", a modal or a subject pronoun, and where nothing else is."""
    word = words[i]
    if word.base == "that" and _at(words, i - 1).kind in ("verb", "be", "adjective", "noun", "pronoun"):
        word.kind = "other"  # the conjunction, not the pointer
    if word.kind != "noun" or "VERB" not in word_classes(word.base):
        return
    before = _at(words, _next(words, i, -1))
    after_have = before.base == "have" and words[i - 1].kind != "determiner" and i + 1 < len(words)
    lone = before.kind == "noun" and not _clause_has_verb(words, i)
    if (
        before.base in ("to", "who", "which")
        or before.kind == "modal"
        or (before.kind == "pronoun" and _is_subject(words, i))
        or (word.base in COMMON_VERBS and (after_have or lone or before.kind == "be"))
    ):
        word.kind = "verb"


def _clause_has_verb(words: Sequence[_Word], i: int) -> bool:
    """Whether another finite verb stands in the same stretch between commas or conjunctions."""
    for step in (-1, 1):
        j = i + step
        while not _opens_clause(_at(words, j)):
            if words[j].kind in ("be", "modal", "verb") and _at(words, j - 1).base != "to":
                return True
            j += step
    return False


def _is_subject(words: Sequence[_Word], i: int) -> bool:
    """Whether the pronoun before position ``i`` opens a clause (so that what follows is its verb)."""
    j = _next(words, i, -1)
    before = _at(words, j - 1)
    if before.kind in ("modal", "be"):
        return _opens_clause(_at(words, j - 2))
    return _opens_clause(before) or before.kind in ("noun", "adverb")


def _inflect(words: list[_Word], i: int) -> None:
    word = words[i]
    match word.kind:
        case "pronoun":
            word.text = _pronoun(words, i)
        case "be":
            word.text = _be(words, i)
        case "verb":
            word.text = _verb(words, i)
        case "modal" if word.base == "do":
            word.text = "does" if _third_singular(_subject(words, i)) else "do"
        case "noun":
            if _plural(words, i):
                word.plural, word.text = True, inflected(word.base, "NNS")


def _plural(words: Sequence[_Word], i: int) -> bool:
    if _at(words, i + 1).kind == "noun":  # only the last noun of a phrase takes the ending
        return False
    j = i - 1
    while _at(words, j).kind in ("adjective", "noun"):
        if words[j].base in PLURAL_DETERMINERS:
            return True
        j -= 1
    number = _at(words, j).base
    counted = (number in lex.NUMBER_WORDS and number != "one") or (
        number.isdigit() and len(number) < 4 and number != "1"
    )
    return (number in PLURAL_DETERMINERS or counted) and words[i].base not in MASS_NOUNS


def _subject(words: Sequence[_Word], i: int) -> _Word:
    """The nearest noun or pronoun left of ``i`` in its clause; for a fronted auxiliary the nearest to the right."""
    for word in reversed(words[:i]):
        if word.base in _MARKS:
            break
        if word.kind in ("noun", "pronoun") or word.base in ("this", "that", "there", "these", "those", "which"):
            return word
    following = (w for w in words[i + 1 :] if w.kind in ("noun", "pronoun") or w.base in ("these", "those"))
    return next(following, _EDGE)


def _third_singular(subject: _Word) -> bool:
    if subject.kind == "pronoun":
        return not lex.PRONOUNS[subject.person].plural_verb
    return subject is not _EDGE and not subject.plural and subject.base not in ("these", "those", "people")


def _be(words: Sequence[_Word], i: int) -> str:
    before = _at(words, _next(words, i, -1))
    if before.kind == "modal" or before.base == "to":
        return "be"
    if before.base == "have":
        return "been"
    if before.kind == "be":
        return "being"
    subject = _subject(words, i)
    if subject.kind == "pronoun":
        return lex.PRONOUNS[subject.person].be
    return "is" if _third_singular(subject) else "are"


def _verb(words: Sequence[_Word], i: int) -> str:
    base = words[i].base
    before, after = _at(words, _next(words, i, -1)), _at(words, _next(words, i, 1))
    if before is _EDGE or before.base == "to" or before.kind == "modal":
        return base
    match _auxiliary(words, i):
        case "have":
            return inflected(base, "VBN")
        case "modal":
            return base
        case "be":
            takes_object = after.kind in ("determiner", "noun", "pronoun", "adjective")
            return inflected(base, "VBG" if takes_object or after.base in ("whether", "about") else "VBN")
    if before.kind == "preposition":
        return inflected(base, "VBG")
    if before.kind == "noun" and after.base in ("by", "in") and base != "have":
        return inflected(base, "VBN")
    return inflected(base, "VBZ") if _third_singular(_subject(words, i)) else base


def _auxiliary(words: Sequence[_Word], i: int) -> str:
    """The auxiliary that governs the verb at ``i``, past adverbs and, in a question, past the subject."""
    j = _next(words, i, -1)
    if _at(words, j).kind == "pronoun" and _at(words, j - 1).kind in ("modal", "be"):
        fronted = j == 1 or words[j - 2].base in _MARKS
        j -= 1 if fronted else 0
    word = _at(words, j)
    return "have" if word.base == "have" else word.kind


def _pronoun(words: Sequence[_Word], i: int) -> str:
    """Subject, object or possessive form by what stands on both sides."""
    person, forms = words[i].person, lex.PRONOUNS[words[i].person]
    before, after = _at(words, i - 1), _at(words, i + 1)
    nominal = after.kind == "noun" or (after.kind == "adjective" and _at(words, i + 2).kind == "noun")
    if nominal and person != "it" and (before.kind != "modal" or person == "we"):
        return forms.possessive
    governed = before.kind in ("verb", "preposition") or before.base in ("let", "be")
    return forms.object if governed and after.kind not in ("be", "modal", "verb") else forms.subject


def _with_small_words(words: Sequence[_Word]) -> list[str]:
    """The texts with articles before bare noun phrases and "of" between neighbouring ones."""
    texts: list[str] = []
    i = 0
    while i < len(words):
        word = words[i]
        if word.base == "'s" and texts:
            texts[-1] += "'s"
            i += 1
            continue
        end = _phrase_end(words, i)
        if end is None:
            owner = word.base in DETERMINERS or (word.kind == "pronoun" and word.text in _POSSESSIVES)
            if owner and i and words[i - 1].kind == "noun" and word.base not in ("that", "which", "whose", "who"):
                texts.append("of")
            texts.append(word.text)
            i += 1
            continue
        phrase = [part.text for part in words[i:end]]
        if _at(words, i - 1).kind == "noun":
            texts.append("of")
        article = _article(words, i, end)
        if article == "a":
            phrase = with_article(" ".join(phrase)).split()
        elif article:
            phrase.insert(0, article)
        texts += phrase
        i = end
    return texts


def _phrase_end(words: Sequence[_Word], i: int) -> int | None:
    """End of the bare noun phrase that begins at ``i`` (adjectives, then nouns), or None."""
    while _at(words, i).kind == "adjective":
        i += 1
    start = i
    while _at(words, i).kind == "noun":
        i += 1
    return i if i > start else None


def _article(words: Sequence[_Word], i: int, end: int) -> str:
    """The article of the phrase ``i``..``end``, "" for none."""
    before, head, after = _at(words, i - 1), words[end - 1], _at(words, end)
    if before.kind == "determiner" or before.base == "'s":
        return ""
    if before.kind == "pronoun" and before.text == lex.PRONOUNS[before.person].possessive:
        return ""
    if head.plural or head.base in MASS_NOUNS or head.base.endswith(ABSTRACT_ENDINGS) or not word_classes(head.base):
        return ""
    if before is _EDGE or before.base in _MARKS or before.kind == "other":
        subject = after.kind in ("be", "modal", "verb")
        return "the" if subject or (before is _EDGE and after is not _EDGE and after.base not in _MARKS) else ""
    if before.kind == "preposition":
        return "the"
    return "a" if before.kind in ("verb", "be") and words[i].kind == "adjective" else ""
