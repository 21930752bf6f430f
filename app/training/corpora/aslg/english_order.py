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

Class = Literal["pronoun", "noun", "verb", "adjective", "adverb", "modal", "be", "determiner", "preposition", "other"]

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


def _before(words: Sequence[_Word], i: int) -> _Word | None:
    """The word before, past adverbs."""
    j = i - 1
    while j >= 0 and words[j].kind == "adverb":
        j -= 1
    return words[j] if j >= 0 else None


def _after(words: Sequence[_Word], i: int) -> _Word | None:
    j = i + 1
    while j < len(words) and words[j].kind == "adverb":
        j += 1
    return words[j] if j < len(words) else None


def _settle_class(words: list[_Word], i: int) -> None:
    """A word that is noun or verb is a verb after "to", a modal or a subject pronoun, and where nothing else is."""
    word = words[i]
    if word.base == "that" and i and words[i - 1].kind in ("verb", "be", "adjective", "noun", "pronoun"):
        word.kind = "other"  # the conjunction, not the pointer
    if word.kind != "noun" or "VERB" not in word_classes(word.base):
        return
    before = _before(words, i)
    if before is None:
        return
    if before.base == "to" or before.kind == "modal" or (before.kind == "pronoun" and _is_subject(words, i)):
        word.kind = "verb"
    elif before.base in ("who", "which") or (before.base == "have" and words[i - 1].kind != "determiner"):
        if before.base != "have" or (i + 1 < len(words) and word.base in COMMON_VERBS):
            word.kind = "verb"
    elif (before.kind == "noun" and word.base in COMMON_VERBS and not _clause_has_verb(words, i)) or (
        before.kind == "be" and word.base in COMMON_VERBS
    ):
        word.kind = "verb"


def _clause_has_verb(words: Sequence[_Word], i: int) -> bool:
    """Whether another finite verb stands in the same stretch between commas or conjunctions."""
    for step in (-1, 1):
        j = i + step
        while 0 <= j < len(words) and words[j].base not in _MARKS and words[j].base not in CONJUNCTIONS:
            if words[j].kind in ("be", "modal", "verb") and not (j and words[j - 1].base == "to"):
                return True
            j += step
    return False


def _is_subject(words: Sequence[_Word], i: int) -> bool:
    """Whether the pronoun before position ``i`` opens a clause (so that what follows is its verb)."""
    j = i - 1
    while j >= 0 and words[j].kind == "adverb":
        j -= 1
    before = words[j - 1] if j > 0 else None
    if before is not None and before.kind in ("modal", "be"):
        return j == 1 or words[j - 2].base in _MARKS or words[j - 2].base in CONJUNCTIONS
    return before is None or before.base in _MARKS or before.base in CONJUNCTIONS or before.kind in ("noun", "adverb")


def _inflect(words: list[_Word], i: int) -> None:
    word = words[i]
    before, after = _before(words, i), _after(words, i)
    match word.kind:
        case "pronoun":
            word.text = _pronoun(words, i)
        case "be":
            word.text = _be(words, i, before)
        case "verb":
            word.text = _verb(words, i, before, after)
        case "modal" if word.base == "do":
            subject = _subject(words, i)
            word.text = "does" if _third_singular(subject) else "do"
        case "noun":
            if _plural(words, i):
                word.plural, word.text = True, inflected(word.base, "NNS")


def _plural(words: Sequence[_Word], i: int) -> bool:
    j = i - 1
    while j >= 0 and words[j].kind in ("adjective", "noun"):
        if words[j].base in PLURAL_DETERMINERS:
            return _is_head(words, i)
        j -= 1
    if j < 0 or not _is_head(words, i):
        return False
    number = words[j].base
    counted = (number in lex.NUMBER_WORDS and number != "one") or (
        number.isdigit() and len(number) < 4 and number != "1"
    )
    return (number in PLURAL_DETERMINERS or counted) and words[i].base not in MASS_NOUNS


def _is_head(words: Sequence[_Word], i: int) -> bool:
    return i + 1 >= len(words) or words[i + 1].kind != "noun"


def _subject(words: Sequence[_Word], i: int) -> _Word | None:
    """The nearest noun or pronoun left of ``i`` in its clause; for a fronted auxiliary the nearest to the right."""
    j = i - 1
    while j >= 0 and words[j].base not in _MARKS:
        if words[j].kind in ("noun", "pronoun") or words[j].base in (
            "this",
            "that",
            "there",
            "these",
            "those",
            "which",
        ):
            return words[j]
        j -= 1
    following = words[i + 1 :]
    return next(
        (word for word in following if word.kind in ("noun", "pronoun") or word.base in ("these", "those")), None
    )


def _third_singular(subject: _Word | None) -> bool:
    if subject is None:
        return False
    if subject.kind == "pronoun":
        return not lex.PRONOUNS[subject.person].plural_verb
    return not subject.plural and subject.base not in ("these", "those", "people")


def _be(words: Sequence[_Word], i: int, before: _Word | None) -> str:
    if before is not None and (before.kind == "modal" or before.base == "to"):
        return "be"
    if before is not None and before.base == "have":
        return "been"
    if before is not None and before.kind == "be":
        return "being"
    subject = _subject(words, i)
    if subject is not None and subject.kind == "pronoun":
        return lex.PRONOUNS[subject.person].be
    return "is" if _third_singular(subject) else "are"


def _verb(words: Sequence[_Word], i: int, before: _Word | None, after: _Word | None) -> str:
    base = words[i].base
    if before is None or before.base == "to" or before.kind == "modal":
        return base
    auxiliary = _auxiliary(words, i)
    if auxiliary == "have":
        return inflected(base, "VBN")
    if auxiliary == "modal":
        return base
    if auxiliary == "be":
        takes_object = after is not None and (
            after.kind in ("determiner", "noun", "pronoun", "adjective") or after.base in ("whether", "about")
        )
        return inflected(base, "VBG" if takes_object else "VBN")
    if before.kind == "preposition":
        return inflected(base, "VBG")
    if before.kind == "noun" and after is not None and after.base in ("by", "in") and base != "have":
        return inflected(base, "VBN")
    return inflected(base, "VBZ") if _third_singular(_subject(words, i)) else base


def _auxiliary(words: Sequence[_Word], i: int) -> str:
    """The auxiliary that governs the verb at ``i``, past adverbs and, in a question, past the subject."""
    j = i - 1
    while j >= 0 and words[j].kind == "adverb":
        j -= 1
    if j >= 1 and words[j].kind == "pronoun" and words[j - 1].kind in ("modal", "be"):
        fronted = j == 1 or words[j - 2].base in _MARKS
        j -= 1 if fronted else 0
    if j < 0:
        return ""
    if words[j].base == "have":
        return "have"
    return words[j].kind if words[j].kind in ("be", "modal") else ""


def _pronoun(words: Sequence[_Word], i: int) -> str:
    """Subject, object or possessive form by what stands on both sides."""
    forms = lex.PRONOUNS[words[i].person]
    before, after = (words[i - 1] if i else None), (words[i + 1] if i + 1 < len(words) else None)
    governed = before is not None and (before.kind in ("verb", "preposition") or before.base in ("let", "be"))
    described = after is not None and after.kind == "adjective" and i + 2 < len(words) and words[i + 2].kind == "noun"
    nominal = (
        after is not None
        and (after.kind == "noun" or described)
        and not (before is not None and before.kind == "modal" and words[i].person != "we")
    )
    if nominal and words[i].person != "it":
        return forms.possessive
    if not governed:
        return forms.subject
    finite = after is not None and (after.kind in ("be", "modal") or (after.kind == "verb" and before is not None))
    if finite and before is not None and before.kind == "verb":
        return forms.subject
    return forms.subject if finite else forms.object


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
        before = words[i - 1] if i else None
        phrase = [part.text for part in words[i:end]]
        if before is not None and before.kind == "noun" and before.base != "'s":
            texts.append("of")
        article = _article(words, i, end, before)
        if article == "a":
            phrase = with_article(" ".join(phrase)).split()
        elif article:
            phrase.insert(0, article)
        texts += phrase
        i = end
    return texts


def _phrase_end(words: Sequence[_Word], i: int) -> int | None:
    """End of the bare noun phrase that begins at ``i`` (adjectives, then nouns), or None."""
    j = i
    while j < len(words) and words[j].kind == "adjective":
        j += 1
    start = j
    while j < len(words) and words[j].kind == "noun":
        j += 1
    return j if j > start else None


def _article(words: Sequence[_Word], i: int, end: int, before: _Word | None) -> str:
    head = words[end - 1]
    if before is not None and (before.kind == "determiner" or before.base == "'s"):
        return ""
    if before is not None and before.kind == "pronoun" and before.text == lex.PRONOUNS[before.person].possessive:
        return ""
    if head.plural or head.base in MASS_NOUNS or head.base.endswith(ABSTRACT_ENDINGS):
        return ""
    if not word_classes(head.base):
        return ""
    after = words[end] if end < len(words) else None
    subject = after is not None and after.kind in ("be", "modal", "verb")
    if before is None or before.base in _MARKS or before.kind == "other":
        return "the" if subject or (before is None and after is not None and after.base not in _MARKS) else ""
    if before.kind == "preposition":
        return "the"
    described = words[i].kind == "adjective"
    return "a" if before.kind in ("verb", "be") and described else ""
