"""Whether a sentence says only what the glosses say: the check of what a chat model makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from app.pipeline.module4_language.gloss_rules import readable
from app.pipeline.module4_language.inflection import lemmas

_SMALL = """
a an the i me my mine myself you your yours yourself he him his she her hers it its we us our ours they them their
theirs this that these those be am is are was were been being do does did done doing have has had having will would can
could
shall should may might to of in on at for with from by about into as and or but so some any there than let s m re ve
ll d
"""
#: Words that an English sentence needs and no gloss has to support. Those that ask, deny, compare, count, or join
#: clauses by cause or time are not among them: a gloss has to say them.
FUNCTION_WORDS = frozenset(_SMALL.split())
_DENYING = "not no never none nothing nobody nowhere neither nor cannot without"
_NEGATIONS = frozenset(_DENYING.split())
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def unsupported(rewritten: str, glosses: Iterable[str], by_rules: str) -> list[str]:
    """The content words of `rewritten` that stand neither in the glosses nor in the sentence that the rules make of
    them, in any inflected form; and "not" where only one of the two sentences denies something."""
    said = [*words(by_rules), *(word for gloss in glosses for word in words(readable(gloss)))]
    supported = frozenset(lemma for word in said for lemma in _forms(word))
    found = words(rewritten)
    added = [word for word in found if word not in FUNCTION_WORDS and not _forms(word) & supported]
    denies = bool(_NEGATIONS.intersection(found))
    if denies != bool(_NEGATIONS.intersection(said)) and "not" not in added:
        added.append("not")
    return added


def words(text: str) -> Sequence[str]:
    """In lower case; "don't" is "do not", "I'm" is "i m"."""
    plain = text.lower().replace("’", "'").replace("can't", "can not").replace("won't", "will not")
    plain = re.sub(r"n't\b", " not", plain)
    return [part for word in _WORD.findall(plain) for part in word.split("'") if part]


@lru_cache(maxsize=8192)
def _forms(word: str) -> frozenset[str]:
    return frozenset({word, *lemmas(word)})
