"""What was signed beside what was read: error counts, tables by signer and gloss, confusions, calibration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.pipeline.module3_sequence.confidence import expected_calibration_error, reliability_table
from app.pipeline.recogniser import GlossSegment
from app.training.evaluation.wer import AlignedPair, Edit, ErrorCounts, align, confusions, count, per_gloss

#: Bins of the reliability table.
BINS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """One clip and its answer."""

    reference: tuple[str, ...]
    """Glosses signed in it."""
    predicted: tuple[GlossSegment, ...]
    """Signs read from it."""
    signer: str

    def alignment(self) -> list[AlignedPair]:
        return align(self.reference, [s.gloss for s in self.predicted])


def figures(counts: ErrorCounts) -> dict[str, Any]:
    """WER (0..1, above with many insertions) with substitutions, deletions, insertions and the number of signs."""
    return {
        "wer": round(counts.wer, 4),
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "signs": counts.reference_length,
    }


def errors(answers: Iterable[Answer]) -> dict[str, Any]:
    """`figures` of all answers together."""
    return figures(sum((count(a.alignment()) for a in answers), ErrorCounts()))


def tables(answers: Sequence[Answer]) -> dict[str, Any]:
    """Everything about one way of reading: total, per signer (with clips), per gloss, confusions, calibration.

    Of clips without a sign the insertions count, as everywhere.
    """
    by_signer: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_signer[answer.signer].append(answer)
    alignments = [a.alignment() for a in answers]
    return {
        "total": figures(sum((count(pairs) for pairs in alignments), ErrorCounts())),
        "by_signer": {signer: {**errors(theirs), "clips": len(theirs)} for signer, theirs in sorted(by_signer.items())},
        "by_gloss": {gloss: figures(counts) for gloss, counts in per_gloss(alignments).items()},
        "confusions": [
            {"signed": signed, "read": read, "times": times} for signed, read, times in confusions(alignments)
        ],
        "calibration": calibration(answers, alignments),
    }


def calibration(answers: Sequence[Answer], alignments: Sequence[Sequence[AlignedPair]]) -> dict[str, Any] | None:
    """How confidences of signs that were read compare with how often they are right; None where nothing was read.

    A sign is right where the alignment sets it against itself.
    """
    confidence, right = [], []
    for answer, pairs in zip(answers, alignments, strict=True):
        confidence += [s.confidence for s in answer.predicted]
        right += [pair.edit is Edit.HIT for pair in pairs if pair.hypothesis is not None]
    if not confidence:
        return None
    filled = [row for row in reliability_table(confidence, right, BINS) if row.count]
    return {
        "ece": round(expected_calibration_error(confidence, right, BINS), 4),
        "signs_read": len(confidence),
        "right": round(sum(right) / len(right), 4),
        "mean_confidence": round(sum(confidence) / len(confidence), 4),
        "bins": [
            {
                "from": round(row.low, 4),
                "to": round(row.high, 4),
                "signs": row.count,
                "confidence": round(row.confidence, 4),
                "right": round(row.accuracy, 4),
            }
            for row in filled
        ],
    }
