"""Sentences of ASLG-PC12 in the project's glosses, where all of them are known.

The corpus writes English word order without articles; what ASL does not sign either (the copula, DO, full stops) is
dropped, and X- and DESC- marks are taken away.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

from app.training.errors import CorpusError

#: Glosses of the corpus that have another name here; nothing where nothing is signed.
NAMES = {
    "X-I": "IX-1", "X-ME": "IX-1", "X-HE": "SHE", "X-IT": "SHE", "X-Y": "THEY", "X-US": "WE", "BE": "", "DO": "",
    "DESC-RE": "", "DESC-TOGER": "TOGETHER", "DESC-OR": "OTHER", "DESC-BIG": "LARGE", "N": "THEN", "SPEAK": "TALK",
    "EVERYONE": "ALL",
}  # fmt: skip
_MARKS = frozenset(",.?!;:'\"()-")


def aslg_sentences(folder: Path, known: Collection[str]) -> list[tuple[str, ...]]:
    """Clauses of two or more glosses of `dev.gloss` in `folder`, all of them known, each once. Raises CorpusError."""
    path = folder / "dev.gloss"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error}; pass the folder of ASLG-PC12") from error
    out: dict[tuple[str, ...], None] = {}
    for line in lines:
        for is_mark, words in itertools.groupby(line.upper().split(), key=_MARKS.__contains__):
            if is_mark:
                continue
            glosses = tuple(gloss for word in words if (gloss := gloss_of(word)))
            if len(glosses) > 1 and all(gloss in known for gloss in glosses):
                out[glosses] = None
    return list(out)


def gloss_of(word: str) -> str:
    """The project's gloss for one of the corpus; "" for what is not signed."""
    return NAMES[word] if word in NAMES else word.removeprefix("X-").removeprefix("DESC-")
