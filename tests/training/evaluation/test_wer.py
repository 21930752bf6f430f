from __future__ import annotations

import itertools

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.training.evaluation.wer import (
    AlignedPair,
    Edit,
    ErrorCounts,
    align,
    confusions,
    corpus_errors,
    per_gloss,
    word_errors,
)

sentences = st.lists(st.sampled_from(["ME", "YOU", "WANT", "WATER"]), max_size=8)
as_words = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])


def by_jiwer(pairs: list[tuple[list[str], list[str]]]) -> jiwer.WordOutput:
    references, hypotheses = [" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs]
    return jiwer.process_words(references, hypotheses, as_words, as_words)


@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=5))
def test_rate_and_edits_are_those_of_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    ours, theirs = corpus_errors(pairs), by_jiwer(pairs)
    assert ours.wer == pytest.approx(theirs.wer)
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    # Where alignments tie, jiwer may take a deletion and an insertion for what is two substitutions here.
    assert ours.substitutions >= theirs.substitutions
    assert ours.deletions - ours.insertions == theirs.deletions - theirs.insertions


@given(sentences, sentences)
def test_an_alignment_spells_both_sentences(reference: list[str], hypothesis: list[str]) -> None:
    pairs = align(reference, hypothesis)
    assert [p.reference for p in pairs if p.reference is not None] == reference
    assert [p.hypothesis for p in pairs if p.hypothesis is not None] == hypothesis
    for pair in pairs:
        match pair.edit:
            case Edit.HIT:
                assert pair.reference == pair.hypothesis is not None
            case Edit.SUBSTITUTION:
                assert None not in (pair.reference, pair.hypothesis)
                assert pair.reference != pair.hypothesis
            case Edit.DELETION:
                assert pair.hypothesis is None
            case Edit.INSERTION:
                assert pair.reference is None


def every_alignment(reference: list[str], hypothesis: list[str]) -> list[ErrorCounts]:
    if not reference or not hypothesis:
        return [ErrorCounts(deletions=len(reference), insertions=len(hypothesis))]
    same = reference[-1] == hypothesis[-1]
    both = ErrorCounts(hits=1) if same else ErrorCounts(substitutions=1)
    return [
        *(both + rest for rest in every_alignment(reference[:-1], hypothesis[:-1])),
        *(ErrorCounts(deletions=1) + rest for rest in every_alignment(reference[:-1], hypothesis)),
        *(ErrorCounts(insertions=1) + rest for rest in every_alignment(reference, hypothesis[:-1])),
    ]


@given(
    st.lists(st.sampled_from("AB"), max_size=4),
    st.lists(st.sampled_from("ABC"), max_size=4),
)
def test_of_all_alignments_the_fewest_edits_then_the_most_substitutions(ref: list[str], hyp: list[str]) -> None:
    best = min(every_alignment(ref, hyp), key=lambda counts: (counts.errors, -counts.substitutions))
    assert word_errors(ref, hyp) == best


@given(sentences, sentences)
def test_swapping_the_sides_swaps_deletions_and_insertions(ref: list[str], hyp: list[str]) -> None:
    there, back = word_errors(ref, hyp), word_errors(hyp, ref)
    assert (there.deletions, there.insertions) == (back.insertions, back.deletions)
    assert (there.substitutions, there.hits) == (back.substitutions, back.hits)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts", "wer"),
    [
        ("", "", (0, 0, 0, 0), 0.0),
        ("", "A B", (0, 0, 2, 0), 2.0),
        ("A B", "", (0, 2, 0, 0), 1.0),
        ("A B C", "A B C", (0, 0, 0, 3), 0.0),
        ("A B C", "A X C", (1, 0, 0, 2), 1 / 3),
        ("A B C", "A C", (0, 1, 0, 2), 1 / 3),
        ("A C", "A B C", (0, 0, 1, 2), 1 / 2),
        ("A A", "A", (0, 1, 0, 1), 1 / 2),
        ("A B", "B A", (2, 0, 0, 0), 1.0),
        ("A", "B C D", (1, 0, 2, 0), 3.0),
        ("A B A", "B C A B", (2, 0, 1, 1), 1.0),
    ],
)
def test_counts_by_hand(reference: str, hypothesis: str, counts: tuple[int, int, int, int], wer: float) -> None:
    result = word_errors(reference.split(), hypothesis.split())
    assert result == ErrorCounts(*counts)
    assert result.wer == pytest.approx(wer)
    assert by_jiwer([(reference.split(), hypothesis.split())]).wer == pytest.approx(wer)


def test_ties_are_broken_the_same_way_every_time() -> None:
    assert align(["A", "A"], ["A"]) == [AlignedPair(Edit.DELETION, "A", None), AlignedPair(Edit.HIT, "A", "A")]
    assert align(["A"], ["A", "A"]) == [AlignedPair(Edit.INSERTION, None, "A"), AlignedPair(Edit.HIT, "A", "A")]


def test_a_corpus_is_summed_not_averaged() -> None:
    pairs = [(["A"], ["B"]), (["A"] * 9, ["A"] * 9), ([], ["A"])]
    total = corpus_errors(pairs)
    assert total == ErrorCounts(substitutions=1, insertions=1, hits=9)
    assert total.wer == pytest.approx(2 / 10)
    assert total.reference_length == 10
    assert corpus_errors([]) == ErrorCounts()
    assert corpus_errors([]).wer == 0


def test_table_per_gloss_and_confusions() -> None:
    alignments = [
        align(["ME", "WANT", "WATER"], ["ME", "WANT", "MILK"]),
        align(["WATER"], ["MILK"]),
        align(["ME", "WATER"], ["WATER"]),
        align(["WANT"], ["YOU"]),
        align([], ["ME"]),
    ]
    table = per_gloss(alignments)
    assert list(table) == ["ME", "WANT", "WATER"]
    assert table["ME"] == ErrorCounts(hits=1, deletions=1, insertions=1)
    assert table["WANT"] == ErrorCounts(hits=1, substitutions=1)
    assert table["WATER"] == ErrorCounts(hits=1, substitutions=2)
    assert sum(table.values(), ErrorCounts()) == ErrorCounts(substitutions=3, deletions=1, insertions=1, hits=3)
    assert confusions(alignments) == [("WATER", "MILK", 2), ("WANT", "YOU", 1)]


@given(st.lists(st.tuples(sentences, sentences), max_size=5))
def test_the_table_holds_every_edit_once(pairs: list[tuple[list[str], list[str]]]) -> None:
    alignments = [align(reference, hypothesis) for reference, hypothesis in pairs]
    total = corpus_errors(pairs)
    assert sum(per_gloss(alignments).values(), ErrorCounts()) == total
    found = confusions(alignments)
    assert sum(times for *_, times in found) == total.substitutions
    assert all(a[2] >= b[2] for a, b in itertools.pairwise(found))
