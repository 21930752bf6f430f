"""Reading with fewer glosses than a network knows: named lists, and the lattice without the others.

A checkpoint may have `vocabularies/<name>.txt`, one gloss a line, `#` begins a comment. Without such files it is read
with all its glosses, which is the vocabulary "all". Reading with fewer is masking the logits of the others, nothing
else: the network and its output stay as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.steps import BLANK, label_ids

ALL, DEFAULT, CUSTOM = "all", "everyday", "custom"
#: Entries of one list; the largest network knows fewer glosses.
MAX_GLOSSES = 5000
#: Unknown glosses that an error names, and the known ones suggested for each.
NAMED, SUGGESTED = 8, 3
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class UnknownVocabulary(ValueError):
    """No vocabulary has this name, or a list cannot be read with; the message says what is accepted."""


class UnknownGlosses(UnknownVocabulary):
    """A list names glosses that the recogniser does not know; the message has the nearest known ones."""


def gloss_of(text: str) -> str:
    """A gloss as people type it, in the project's spelling: "thank you" is THANK-YOU."""
    return re.sub(r"[\s_]+", "-", text.strip()).upper()


def read_vocabularies(folder: Path, known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Glosses of each named vocabulary of a checkpoint in label order; "all" is always there.

    Raises UnknownVocabulary, which names the file, for a list that names nothing or a gloss not in `known`.
    """
    found = {}
    for path in sorted((folder / "vocabularies").glob("*.txt")):
        if not _NAME.fullmatch(path.stem) or path.stem == CUSTOM:
            raise UnknownVocabulary(
                f"{path}: a vocabulary is named with a-z, 0-9 and -, at most 32 of them, and not {CUSTOM!r}"
            )
        lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        try:
            found[path.stem] = chosen_glosses([line for line in lines if line], known)
        except UnknownVocabulary as problem:
            raise type(problem)(f"{path}: {problem}") from problem
    return {**found, ALL: tuple(known)}


def chosen(
    wanted: str | Sequence[str] | None, named: Mapping[str, tuple[str, ...]], known: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Name and glosses, in label order, of a vocabulary asked for by name or as a list of glosses ("custom"); None is
    the default: "everyday" where there is one, else "all". Raises UnknownVocabulary, UnknownGlosses."""
    if wanted is None:
        wanted = DEFAULT if DEFAULT in named else ALL
    if not isinstance(wanted, str):
        return CUSTOM, chosen_glosses(wanted, known)
    if wanted not in named:
        near = difflib.get_close_matches(wanted[:32], named, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownVocabulary(f"there is no vocabulary {wanted[:32]!r}, but {', '.join(sorted(named))}{hint}")
    return wanted, named[wanted]


def chosen_glosses(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The glosses of a list in label order, each once. Raises UnknownVocabulary, UnknownGlosses."""
    if not wanted:
        raise UnknownVocabulary("the list of glosses is empty; name at least one")
    if len(wanted) > MAX_GLOSSES:
        raise UnknownVocabulary(f"the list has more than {MAX_GLOSSES} glosses, the limit")
    glosses = dict.fromkeys(map(gloss_of, wanted))
    labels = label_ids(known)
    unknown = [gloss for gloss in glosses if gloss not in labels]
    if unknown:
        said = "; ".join(_with_nearest(gloss[:40], known) for gloss in unknown[:NAMED])
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        raise UnknownGlosses(f"the recogniser does not know {said}{more}")
    return tuple(sorted(glosses, key=labels.__getitem__))


def _with_nearest(gloss: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(gloss, known, SUGGESTED)
    return f"{gloss} (nearest: {', '.join(near)})" if near else gloss or "'' (an empty entry)"


def columns_of(glosses: Sequence[str], known: Sequence[str]) -> NDArray[np.intp]:
    """Columns of a lattice over `known` that reading with `glosses` keeps: the blank's, then one for each gloss."""
    labels = label_ids(known)
    return np.array([BLANK, *(labels[gloss] for gloss in glosses)], np.intp)


def narrowed(
    log_probs: NDArray[np.float32], columns: NDArray[np.intp] | slice, blank_bias: float = 0.0
) -> NDArray[np.float32]:
    """(S, V) log-probabilities -> (S, columns) of these labels alone, as if the logits of the others had been
    masked; `blank_bias` is taken from the blank's before."""
    rows = log_probs[:, columns].astype(np.float64)
    rows[:, 0] -= blank_bias
    rows -= rows.max(axis=1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))  # a tenth of the time of logaddexp.reduce
    return rows.astype(np.float32)
