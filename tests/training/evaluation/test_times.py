"""Overlap and errors of the times of signs, of those that were read right."""

from __future__ import annotations

import pytest

from app.pipeline.recogniser import GlossSegment
from app.training.evaluation.times import overlap, read_right, time_figures


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 1), (0, 1), 1.0),
        ((0, 1), (0.5, 1.5), 1 / 3),
        ((0, 1), (1, 2), 0.0),
        ((0, 1), (5, 6), 0.0),
        ((0, 4), (1, 2), 0.25),
    ],
)
def test_overlap(a: tuple[float, float], b: tuple[float, float], share: float) -> None:
    assert overlap(a, b) == pytest.approx(share)
    assert overlap(b, a) == pytest.approx(share)


def test_signs_are_paired_as_wer_counts_them() -> None:
    assert read_right(["A", "B", "C"], ["A", "X", "B", "D"]) == [(0, 0), (1, 2)]
    assert read_right([], ["A"]) == []


def test_signs_that_were_not_read_right_have_no_times() -> None:
    signed = [("A", 0.0, 1.0), ("B", 1.0, 2.0), ("C", 2.0, 3.0)]
    read = [GlossSegment("A", 0.1, 1.0, 0.9), GlossSegment("C", 2.0, 3.5, 0.9)]
    found = time_figures([(signed, read)])
    assert found["iou"] == pytest.approx((0.9 + 1 / 1.5) / 2, abs=1e-4)
    assert (found["start_ms"], found["end_ms"], found["timed"], found["missed"]) == (50, 250, 2, 1)
    assert time_figures([(signed, [])])["missed"] == 3
