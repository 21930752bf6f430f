"""How well the times of signs are found: overlap with the stretches in which they were signed, errors of both ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from app.pipeline.recogniser import GlossSegment
from app.training.evaluation.wer import Edit, align

#: Gloss, start and end in seconds of what was signed.
Stretch = tuple[str, float, float]


def read_right(signed: Sequence[str], read: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the signs that were read right, in what was signed and in what was read: the hits of the alignment by
    which WER is counted."""
    out, i, j = [], 0, 0
    for pair in align(signed, read):
        if pair.edit is Edit.HIT:
            out.append((i, j))
        i += pair.reference is not None
        j += pair.hypothesis is not None
    return out


def overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Of two stretches (start, end): what they share in relation to what they cover together, 0..1."""
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def time_figures(examples: Iterable[tuple[Sequence[Stretch], Sequence[GlossSegment]]]) -> dict[str, Any]:
    """For what was signed and read in each example: mean overlap ("iou") and mean absolute errors of start and end, in
    milliseconds, of the signs that were read right ("timed"); signs that were not ("missed") have no times."""
    found, total = [], 0
    for signed, read in examples:
        total += len(signed)
        for i, j in read_right([gloss for gloss, _, _ in signed], [s.gloss for s in read]):
            _, start, end = signed[i]
            sign = read[j]
            found.append(
                (overlap((start, end), (sign.start_s, sign.end_s)), abs(sign.start_s - start), abs(sign.end_s - end))
            )
    if not found:
        return {"iou": 0.0, "start_ms": 0, "end_ms": 0, "timed": 0, "missed": total}
    iou, start, end = np.mean(found, axis=0).tolist()
    return {
        "iou": round(iou, 4),
        "start_ms": round(1000 * start),
        "end_ms": round(1000 * end),
        "timed": len(found),
        "missed": total - len(found),
    }
