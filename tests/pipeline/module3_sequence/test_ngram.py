from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module3_sequence.ngram import END, START, InvalidNgramModel, NgramModel
from tests.support.language import sentence_log_prob

GLOSSES = ["ME", "WANT", "WATER"]
labels = st.integers(1, len(GLOSSES))
corpora = st.lists(st.lists(labels, max_size=6), max_size=8)


def test_bigram_by_hand() -> None:
    # Sentences: ME WANT | ME. V = 4 symbols (END, ME, WANT, WATER).
    # Empty context: c = ME 2, WANT 1, END 2; total 5, types 3; p = (c + 3/4) / 8.
    # After ME: WANT 1, END 1; total 2, types 2; p = (c + 2 p1) / 4. At the start: ME 2; p = (c + p1) / 3.
    model = NgramModel.fit([[1, 2], [1]], GLOSSES, order=2)
    unigram = [2.75 / 8, 2.75 / 8, 1.75 / 8, 0.75 / 8]
    after_me = [(1 + 2 * unigram[0]) / 4, 2 * unigram[1] / 4, (1 + 2 * unigram[2]) / 4, 2 * unigram[3] / 4]
    at_start = [unigram[0] / 3, (2 + unigram[1]) / 3, unigram[2] / 3, unigram[3] / 3]
    assert [math.exp(x) for x in model.log_probs((1,))] == pytest.approx(after_me)
    assert [math.exp(x) for x in model.log_probs(model.start())] == pytest.approx(at_start)
    assert [math.exp(x) for x in model.log_probs((3,))] == pytest.approx(unigram)  # never seen: backs off
    assert sentence_log_prob(model, [1]) == pytest.approx(math.log(at_start[1]) + math.log(after_me[END]))


def test_trigram_backs_off_through_the_bigram() -> None:
    model = NgramModel.fit([[1, 2, 3], [2, 2]], GLOSSES, order=3)
    bigram = [math.exp(x) for x in model.log_probs((3, 2))]  # (3, 2) was never seen, (2,) was
    after_2 = {3: 1, 2: 1, END: 1}
    unigram = NgramModel.fit([[1, 2, 3], [2, 2]], GLOSSES, order=1).log_probs(())
    assert bigram == pytest.approx([(after_2.get(k, 0) + 3 * math.exp(unigram[k])) / 6 for k in range(4)])
    after_1_2 = [math.exp(x) for x in model.log_probs((1, 2))]
    assert after_1_2 == pytest.approx([((k == 3) + bigram[k]) / 2 for k in range(4)])


@given(corpora, st.integers(1, 4), st.lists(st.integers(-1, len(GLOSSES)), max_size=5))
def test_every_context_sums_to_one(corpus: list[list[int]], order: int, context: list[int]) -> None:
    model = NgramModel.fit(corpus, GLOSSES, order)
    log_probs = model.log_probs(tuple(context))
    assert len(log_probs) == model.num_labels == len(GLOSSES) + 1
    assert math.fsum(map(math.exp, log_probs)) == pytest.approx(1, abs=1e-12)
    assert all(-math.inf < value <= 0 for value in log_probs)


@given(corpora, st.integers(1, 4), st.lists(labels, max_size=6))
def test_advance_keeps_the_last_labels(corpus: list[list[int]], order: int, sentence: list[int]) -> None:
    model = NgramModel.fit(corpus, GLOSSES, order)
    context = model.start()
    for label in sentence:
        context = model.advance(context, label)
    assert context == tuple(([START] * order + sentence)[len(sentence) + 1 :])
    assert len(context) == order - 1


@given(corpora, st.integers(1, 4), corpora)
def test_saved_and_loaded_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, corpus: list[list[int]], order: int, asked: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("lm") / "lm.json"
    model = NgramModel.fit(corpus, GLOSSES, order)
    model.save(path)
    loaded = NgramModel.load(path, GLOSSES)
    assert (loaded.order, loaded.vocabulary) == (model.order, model.vocabulary)
    for sentence in asked:
        assert sentence_log_prob(loaded, sentence) == sentence_log_prob(model, sentence)


@given(corpora, st.integers(1, 4), st.permutations(GLOSSES), st.integers(1, 3), st.lists(labels, max_size=4))
def test_narrowed_to_fewer_glosses_it_is_the_same_given_that_no_other_is_signed(
    corpus: list[list[int]], order: int, shuffled: list[str], count: int, before: list[int]
) -> None:
    """Against brute force: the whole model's probabilities after the same signs, divided by their sum."""
    model, kept = NgramModel.fit(corpus, GLOSSES, order), shuffled[:count]
    whole = [1 + GLOSSES.index(gloss) for gloss in kept]
    narrow = model.narrowed(kept)
    assert narrow.vocabulary == tuple(kept)
    assert narrow.num_labels == 1 + count
    context, same = model.start(), narrow.start()
    for label in before:
        if label in whole:
            context, same = model.advance(context, label), narrow.advance(same, 1 + whole.index(label))
    expected = [math.exp(model.log_probs(context)[label]) for label in (END, *whole)]
    found = [math.exp(value) for value in narrow.log_probs(same)]
    assert found == pytest.approx([p / math.fsum(expected) for p in expected], rel=1e-12)
    # Narrowed twice it is the same as narrowed once, and it is saved whole.
    again = narrow.narrowed(kept[:1])
    assert list(again.log_probs(())) == pytest.approx(list(model.narrowed(kept[:1]).log_probs(())), rel=1e-12)


def test_a_narrowed_model_is_saved_whole_and_knows_no_other_glosses(tmp_path: Path) -> None:
    model = NgramModel.fit([[1, 2, 3]], GLOSSES, 2)
    model.narrowed(["WATER"]).save(tmp_path / "lm.json")
    assert NgramModel.load(tmp_path / "lm.json").vocabulary == tuple(GLOSSES)
    for glosses in ([], ["WATER", "WATER"], ["COFFEE"]):
        with pytest.raises(InvalidNgramModel, match="narrowed to glosses of its own vocabulary"):
            model.narrowed(glosses)


def test_unseen_contexts_take_no_memory() -> None:
    model = NgramModel.fit([[1, 2, 3]], GLOSSES, order=3)
    assert model.log_probs((3, 1)) is model.log_probs((2, 1))


def saved(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "lm.json"
    NgramModel.fit([[1, 2]], GLOSSES, order=2).save(path)
    body = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "something"}, "not a glossline-ngram file"),
        ({"version": 2}, "version 1"),
        ({"order": 0}, "order"),
        ({"order": 7}, "order"),
        ({"order": True}, "order"),
        ({"order": 3}, "4 integers"),
        ({"vocabulary": "ME"}, "list of strings"),
        ({"vocabulary": ["ME", 1, "WATER"]}, "list of strings"),
        ({"vocabulary": []}, "empty"),
        ({"vocabulary": ["ME", "ME", "WATER"]}, "twice"),
        ({"events": {}}, "list"),
        ({"events": [[1, 2]]}, "3 integers"),
        ({"events": [[1, 2, 1.5]]}, "3 integers"),
        ({"events": [[1, 2, True]]}, "3 integers"),
        ({"events": [[1, 2, 0]]}, "at least 1"),
        ({"events": [[1, 2, 1], [1, 2, 1]]}, "listed twice"),
        ({"events": [[1, 4, 1]]}, "outside 1..3"),
        ({"events": [[4, 1, 1]]}, "outside 1..3"),
        ({"events": [[0, 1, 1]]}, "outside 1..3"),
        ({"events": [[-2, 1, 1]]}, "outside 1..3"),
        ({"events": [[1, -1, 1]]}, "outside 1..3"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidNgramModel, match=says):
        NgramModel.load(saved(tmp_path, **changes))


def test_start_symbols_stand_in_front_only() -> None:
    with pytest.raises(InvalidNgramModel, match="is not a context"):
        NgramModel(GLOSSES, 3, {(1, START): {1: 1}})


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1, 2]", b"[" * 100_000])
def test_files_that_are_not_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lm.json"
    path.write_bytes(content)
    with pytest.raises(InvalidNgramModel):
        NgramModel.load(path)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidNgramModel, match="another vocabulary"):
        NgramModel.load(saved(tmp_path), ["WANT", "ME", "WATER"])


@pytest.mark.parametrize("sentence", [[0], [1, 0], [4], [-1]])
def test_sentences_of_other_ids_are_refused(sentence: list[int]) -> None:
    with pytest.raises(InvalidNgramModel):
        NgramModel.fit([sentence], GLOSSES, order=2)
