"""Signs chosen together: against every sequence there is, and what a stream may call final."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.neighbours import PAUSE_STEPS, SignContext, begins, chosen_together
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.module3_sequence.stretches import KnownEvidence, decided, reread

GLOSSES = ("ME", "WANT", "WATER", "WHO")
V = 1 + len(GLOSSES)
corpora = st.lists(st.lists(st.integers(1, V - 1), min_size=1, max_size=5), max_size=8)
#: Evidence of one to five places.
places = st.lists(st.lists(st.floats(-6, 0), min_size=V - 1, max_size=V - 1), min_size=1, max_size=5)
weights = st.floats(0.1, 3.0)


def rows(table: list[list[float]]) -> list[NDArray[np.float64]]:
    return [np.array([-np.inf, *row]) for row in table]


def everything(lm: NgramModel, weight: float) -> SignContext:
    return SignContext(lm, weight, candidates=V, margin=math.inf)


def score(
    evidence: list[NDArray[np.float64]], fresh: list[bool], around: SignContext, labels: tuple[int, ...]
) -> float:
    """The formula of the module, sign by sign."""
    lm, total = around.lm, 0.0
    alone, context, last = lm.log_probs(()), lm.start(), 0
    for row, first, label in zip(evidence, fresh, labels, strict=True):
        total += float(row[label])
        if first:
            context = lm.start()
        elif label == last:
            continue
        else:
            total += around.weight * (lm.log_probs(context)[label] - alone[label])
        context, last = lm.advance(context, label), label
    return total


@given(corpora, st.integers(1, 3), weights, places, st.data())
def test_the_best_sequence_is_that_of_trying_all(
    corpus: list[list[int]], order: int, weight: float, table: list[list[float]], data: st.DataObject
) -> None:
    around, evidence = everything(NgramModel.fit(corpus, GLOSSES, order), weight), rows(table)
    fresh = [True, *data.draw(st.lists(st.booleans(), min_size=len(table) - 1, max_size=len(table) - 1))]
    found, scores, _ = chosen_together(evidence, fresh, around)
    best = max(
        score(evidence, fresh, around, labels) for labels in itertools.product(range(1, V), repeat=len(evidence))
    )
    assert score(evidence, fresh, around, tuple(found)) == pytest.approx(best, abs=1e-9)
    assert sum(float(row[label]) for row, label in zip(scores, found, strict=True)) == pytest.approx(best, abs=1e-9)


@given(corpora, st.integers(1, 3), weights, places, places)
def test_what_is_settled_is_in_every_continuation(
    corpus: list[list[int]], order: int, weight: float, table: list[list[float]], more: list[list[float]]
) -> None:
    around = everything(NgramModel.fit(corpus, GLOSSES, order), weight)
    found, scores, count = chosen_together(rows(table), [True] + [False] * (len(table) - 1), around)
    longer = rows(table + more)
    later, rescored, _ = chosen_together(longer, [True] + [False] * (len(longer) - 1), around)
    assert later[:count] == found[:count]
    for before, after in zip(scores[:count], rescored[:count], strict=True):
        np.testing.assert_array_equal(before, after)


def test_clear_signs_are_settled_at_once_and_doubtful_ones_when_the_next_is_known() -> None:
    around = SignContext(NgramModel.fit([[1, 2, 3], [4, 2, 1]], GLOSSES, 2), 1.0)
    clear, doubtful = [-12.0, -12.0, 0.0, -12.0], [0.0, -12.0, -12.0, -0.1]
    assert chosen_together(rows([clear, clear]), [True, False], around)[2] == 2
    assert chosen_together(rows([clear, doubtful]), [True, False], around)[2] == 1
    assert chosen_together(rows([clear, doubtful, clear]), [True, False, False], around)[2] == 3
    assert chosen_together(rows([clear, doubtful, doubtful]), [True, False, True], around)[2] == 2


def test_a_sign_alone_and_a_sign_again_are_read_from_the_hands() -> None:
    around = SignContext(NgramModel.fit([[1, 2]] * 50, GLOSSES, 2), 5.0)
    evidence = rows([[-0.2, -0.1, -9.0, -9.0]])
    labels, scores, _ = chosen_together(evidence, [True], around)
    assert labels == [2]
    np.testing.assert_array_equal(scores[0], evidence[0])
    # ME ME is one sign with a repeated movement, though no sentence has it.
    assert around.gains((1,), 1)[1] == 0.0


def test_after_a_pause_a_sentence_begins() -> None:
    near, far = DecodedToken(1, PAUSE_STEPS, PAUSE_STEPS + 1), DecodedToken(1, PAUSE_STEPS + 1, PAUSE_STEPS + 2)
    assert begins([DecodedToken(1, 0, 1), near]) == [True, False]
    assert begins([DecodedToken(1, 0, 1), far]) == [True, True]
    assert begins([]) == []


@pytest.mark.parametrize("seed", range(20))
def test_settled_readings_are_those_of_the_whole_lattice(seed: int) -> None:
    """Tokens one after the other, as a stream decodes them: what is settled stays, label and confidence."""
    rng = np.random.default_rng(seed)
    table = np.log(rng.dirichlet(np.full(V, 0.4), 40))
    tokens = [DecodedToken(1, step, step + 1) for step in range(2, 40, int(rng.integers(2, 10)))]
    around = SignContext(NgramModel.fit([[1, 2, 3], [4, 2, 1], [3, 4]], GLOSSES, 2), 1.0)
    whole = reread(tokens, table, 0.3, 1.3, 0, around)
    for count in range(1, len(tokens) + 1):
        seen = table[: tokens[count - 1].end_step]
        evidence = KnownEvidence().of(tokens[:count], seen, 0.3, 0, 0)
        readings, known = decided(tokens[:count], evidence, 1.3, around, count)
        assert known < count
        assert readings[:known] == whole[:known]
        for committed in range(count):  # as many as if the others had not been decoded yet
            before = decided(tokens[:committed], evidence[:committed], 1.3, around, committed)[1]
            assert decided(tokens[:count], evidence, 1.3, around, committed)[1] == before
    assert decided([], [], around=around) == ([], 0)
