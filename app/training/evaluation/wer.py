"""Word error rate over glosses: alignment, counts apart by kind, tables per gloss, confusions.

Counts are of tokens as they are: normalising (case, variants) is for the caller, who has to say so beside the figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Edit(StrEnum):
    HIT = "hit"
    SUBSTITUTION = "substitution"
    DELETION = "deletion"
    INSERTION = "insertion"


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """One column of an alignment; the side that has no token is None (a deletion has no hypothesis)."""

    edit: Edit
    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Edits of one sentence or, added up, of a corpus."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    hits: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        return self.hits + self.substitutions + self.deletions

    @property
    def wer(self) -> float:
        """Errors per reference token, >= 0, above 1 with many insertions.

        With nothing in the reference it is the number of insertions, as in jiwer: 0 for rightly saying nothing.
        """
        return self.errors / self.reference_length if self.reference_length else float(self.insertions)

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.hits + other.hits,
        )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedPair]:
    """A Levenshtein alignment with the fewest edits, the same one every time.

    Among alignments with equally few edits, those with the most substitutions are preferred over deletion-insertion
    pairs; among these, reading from the end, a pair of tokens before a deletion before an insertion.
    """
    rows, columns = len(reference), len(hypothesis)
    # One number per cell holds (edits, deletions + insertions), compared in that order.
    edit = rows + columns + 1
    gap = edit + 1
    cost = [[gap * j for j in range(columns + 1)]]
    for i, expected in enumerate(reference, start=1):
        above, row = cost[-1], [gap * i]
        for j, got in enumerate(hypothesis, start=1):
            row.append(min(above[j - 1] + (edit if expected != got else 0), above[j] + gap, row[-1] + gap))
        cost.append(row)

    pairs = []
    i, j = rows, columns
    while i or j:
        here = cost[i][j]
        if i and j:
            same = reference[i - 1] == hypothesis[j - 1]
            if here == cost[i - 1][j - 1] + (0 if same else edit):
                i, j = i - 1, j - 1
                pairs.append(AlignedPair(Edit.HIT if same else Edit.SUBSTITUTION, reference[i], hypothesis[j]))
                continue
        if i and here == cost[i - 1][j] + gap:
            i -= 1
            pairs.append(AlignedPair(Edit.DELETION, reference[i], None))
        else:
            j -= 1
            pairs.append(AlignedPair(Edit.INSERTION, None, hypothesis[j]))
    return pairs[::-1]


def count(pairs: Iterable[AlignedPair]) -> ErrorCounts:
    """Add up the columns of an alignment."""
    edits = Counter(pair.edit for pair in pairs)
    return ErrorCounts(edits[Edit.SUBSTITUTION], edits[Edit.DELETION], edits[Edit.INSERTION], edits[Edit.HIT])


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Edits that turn the hypothesis of one sentence into its reference."""
    return count(align(reference, hypothesis))


def corpus_errors(sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> ErrorCounts:
    """Edits summed over (reference, hypothesis) pairs, so that long sentences weigh more; not a mean of rates."""
    return sum((word_errors(reference, hypothesis) for reference, hypothesis in sentences), ErrorCounts())


def per_gloss(alignments: Iterable[Iterable[AlignedPair]]) -> dict[str, ErrorCounts]:
    """Counts by gloss, sorted by name.

    Hits, substitutions and deletions are those of the gloss in references. Insertions are how often the gloss was
    said with nothing opposite; being said in place of another gloss is that other gloss's substitution.
    """
    columns: dict[str, list[AlignedPair]] = {}
    for pairs in alignments:
        for pair in pairs:
            gloss = pair.reference if pair.reference is not None else pair.hypothesis
            columns.setdefault(str(gloss), []).append(pair)
    return {gloss: count(columns[gloss]) for gloss in sorted(columns)}


def confusions(alignments: Iterable[Iterable[AlignedPair]]) -> list[tuple[str, str, int]]:
    """(reference gloss, what was said instead, how often), most frequent first, ties by name."""
    found = Counter(
        (pair.reference, pair.hypothesis)
        for pairs in alignments
        for pair in pairs
        if pair.reference is not None and pair.hypothesis is not None and pair.edit is Edit.SUBSTITUTION
    )
    listed = [(str(reference), str(said), times) for (reference, said), times in found.items()]
    return sorted(listed, key=lambda entry: (-entry[2], entry[0], entry[1]))
