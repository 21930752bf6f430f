"""Names of sets and signs: any script, nothing that controls a terminal or a page."""

from __future__ import annotations

import re
import unicodedata

from app.core.errors import InvalidRequest
from app.pipeline.module3_sequence.vocabularies import gloss_of

#: Characters of a name.
MAX_NAME = 80
#: Join letters in several scripts; the only invisible characters that names may have.
_JOINERS = "\u200c\u200d"
_LANGUAGE = re.compile(r"[a-z]{3}")


def checked_name(text: str, what: str = "name") -> str:
    """A name as it is kept: composed, without spaces around it. Raises InvalidRequest."""
    name = re.sub(" +", " ", unicodedata.normalize("NFC", text[: 8 * MAX_NAME])).strip(" ")
    if len(text) > 8 * MAX_NAME or len(name) > MAX_NAME:
        raise InvalidRequest(f"{what}: a name has at most {MAX_NAME} characters; this one has {len(text)}.")
    # Cc control, Cf format (such as reversed text), Cs half characters, Co private use, Cn none; Zl and Zp end a line.
    bad = [c for c in name if c not in _JOINERS and (unicodedata.category(c) in _REFUSED)]
    if bad:
        raise InvalidRequest(f"{what}: the character U+{ord(bad[0]):04X} cannot be part of a name. Leave it out.")
    if not any(unicodedata.category(c)[0] in "LNS" for c in name):
        raise InvalidRequest(f"{what}: a name needs a letter, a digit or a symbol.")
    return name


_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def checked_gloss(text: str) -> str:
    """The gloss of a sign that is called so. Raises InvalidRequest."""
    gloss = checked_name(gloss_of(checked_name(text)))
    if "," in gloss:
        raise InvalidRequest("name: a gloss has no comma, which separates glosses in lists. Leave it out.")
    if gloss[0] in "=+-@":
        raise InvalidRequest(f"name: a gloss cannot begin with {gloss[0]}, which spreadsheets read as a formula.")
    return gloss


def checked_language(code: str) -> str:
    """An ISO 639-3 code. Raises InvalidRequest."""
    if not _LANGUAGE.fullmatch(code):
        raise InvalidRequest(
            "sign_language: send the three letters of ISO 639-3, such as ase (American), bfi (British) or gsg (German "
            "Sign Language)."
        )
    return code
