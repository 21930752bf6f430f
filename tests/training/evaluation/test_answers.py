from __future__ import annotations

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.recogniser import GlossSegment
from app.training.evaluation.answers import Answer, errors, tables


def sign(gloss: str, confidence: float) -> GlossSegment:
    return GlossSegment(gloss, 0.0, 0.2, confidence)


glosses = st.sampled_from(["HELLO", "YOU", "NAME", "IX-1", "THANK-YOU"])
answers = st.builds(
    Answer,
    st.lists(glosses, max_size=6).map(tuple),
    st.lists(st.builds(sign, glosses, st.floats(0, 1)), max_size=6).map(tuple),
    st.sampled_from(["ann", "bob"]),
)
as_words = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])


@settings(deadline=None)
@given(st.lists(answers, min_size=1, max_size=6))
def test_an_evaluation_counts_as_jiwer_does(given_answers: list[Answer]) -> None:
    found = tables(given_answers)
    theirs = jiwer.process_words(
        [" ".join(a.reference) for a in given_answers],
        [" ".join(s.gloss for s in a.predicted) for a in given_answers],
        as_words,
        as_words,
    )
    total = found["total"]
    assert total["wer"] == pytest.approx(theirs.wer, abs=1e-4)
    assert total["signs"] == theirs.hits + theirs.substitutions + theirs.deletions
    edits = total["substitutions"] + total["deletions"] + total["insertions"]
    assert edits == theirs.substitutions + theirs.deletions + theirs.insertions


@settings(deadline=None)
@given(st.lists(answers, max_size=6))
def test_tables_add_up_to_the_total(given_answers: list[Answer]) -> None:
    found = tables(given_answers)
    assert found["total"] == errors(given_answers)
    for name in ("by_signer", "by_gloss"):
        for key in ("substitutions", "deletions", "insertions", "signs"):
            assert sum(row[key] for row in found[name].values()) == found["total"][key]
    assert sum(c["times"] for c in found["confusions"]) == found["total"]["substitutions"]
    assert sum(row["clips"] for row in found["by_signer"].values()) == len(given_answers)
    calibration = found["calibration"]
    read = sum(len(a.predicted) for a in given_answers)
    assert (calibration is None) == (read == 0)
    if calibration:
        assert calibration["signs_read"] == sum(row["signs"] for row in calibration["bins"]) == read
        assert 0 <= calibration["ece"] <= 1


def test_confidence_is_set_against_what_was_right() -> None:
    sure = Answer(("A", "B"), (sign("A", 0.95), sign("C", 0.95)), "ann")
    unsure = Answer(("A",), (sign("A", 0.35), sign("B", 0.15)), "ann")
    found = tables([sure, unsure])["calibration"]
    assert found is not None
    rows = [(row["from"], row["signs"], row["confidence"], row["right"]) for row in found["bins"]]
    assert rows == [(0.1, 1, 0.15, 0.0), (0.3, 1, 0.35, 1.0), (0.9, 2, 0.95, 0.5)]
    assert found["ece"] == pytest.approx((0.15 + 0.65 + 2 * 0.45) / 4)
    assert tables([sure])["confusions"] == [{"signed": "B", "read": "C", "times": 1}]
