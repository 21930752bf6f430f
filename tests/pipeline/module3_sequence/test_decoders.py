from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module3_sequence.decoders import (
    BeamDecoder,
    DecodedToken,
    Decoder,
    GreedyDecoder,
    Hypothesis,
    InvalidLattice,
)
from app.pipeline.module3_sequence.ngram import NgramModel

EVERYTHING = 10**9


def log(probabilities: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(probabilities, np.float64))


def unpruned(beam: int = EVERYTHING, **options: object) -> BeamDecoder:
    return BeamDecoder(beam, prune_log_prob=None, top_labels=None, **options)  # type: ignore[arg-type]


def decoded(decoder: Decoder, lattice: NDArray[np.floating]) -> Decoder:
    decoder.feed(lattice)
    return decoder


@dataclass
class Enumerated:
    """What all paths of a lattice say of one label sequence."""

    score: float = -math.inf
    best_path: float = -math.inf
    best_tokens: tuple[DecodedToken, ...] = ()
    runner_up: float = -math.inf  # best single path that has other tokens times


def tokens_of(path: Sequence[int]) -> tuple[DecodedToken, ...]:
    tokens, step = [], 0
    for label, run in itertools.groupby(path):
        length = len(list(run))
        if label:
            tokens.append(DecodedToken(label, step, step + length))
        step += length
    return tuple(tokens)


def enumerate_paths(lattice: NDArray[np.floating]) -> dict[tuple[int, ...], Enumerated]:
    """Every one of the V**S paths, collapsed by CTC's rule, summed by label sequence."""
    steps, width = lattice.shape
    result: dict[tuple[int, ...], Enumerated] = {}
    for path in itertools.product(range(width), repeat=steps):
        log_prob = sum(float(lattice[step, label]) for step, label in enumerate(path))
        if log_prob == -math.inf:
            continue
        tokens = tokens_of(path)
        entry = result.setdefault(tuple(token.label for token in tokens), Enumerated())
        entry.score = float(np.logaddexp(entry.score, log_prob))
        if log_prob > entry.best_path:
            entry.runner_up, entry.best_path, entry.best_tokens = entry.best_path, log_prob, tokens
        else:
            entry.runner_up = max(entry.runner_up, log_prob)
    return result


@st.composite
def lattices(draw: st.DrawFn, max_steps: int = 6, max_width: int = 4, min_steps: int = 1) -> NDArray[np.float32]:
    """(S, V) float32 log-probabilities, from flat to nearly certain, some symbols impossible."""
    steps, width = draw(st.integers(min_steps, max_steps)), draw(st.integers(2, max_width))
    seed, sharpness = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.0, 0.5, 2.0, 6.0, 30.0]))
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(steps, width)) * sharpness
    if draw(st.booleans()):
        logits[np.arange(width) != rng.integers(0, width, (steps, 1))] -= np.where(rng.random() < 0.5, np.inf, 3.0)
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


cuts = st.lists(st.integers(0, 12), max_size=5)


def fed_in_pieces(decoder: Decoder, lattice: NDArray[np.floating], cut_at: list[int]) -> Decoder:
    for piece in np.split(lattice, sorted(min(cut, len(lattice)) for cut in cut_at)):
        decoder.feed(piece)
    return decoder


class TestAgainstAllPaths:
    @given(lattices())
    def test_n_best_has_every_sequence_with_its_exact_score_in_order(self, lattice: NDArray[np.float32]) -> None:
        expected = enumerate_paths(lattice)
        found = decoded(unpruned(), lattice).n_best(EVERYTHING)
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)
        assert {hypothesis.labels for hypothesis in found} == set(expected)
        assert len(found) == len(expected)
        for hypothesis in found:
            assert hypothesis.score == pytest.approx(expected[hypothesis.labels].score, abs=1e-9)

    @given(lattices())
    def test_times_are_those_of_the_best_single_path(self, lattice: NDArray[np.float32]) -> None:
        expected = enumerate_paths(lattice)
        for hypothesis in decoded(unpruned(), lattice).n_best(EVERYTHING):
            entry = expected[hypothesis.labels]
            path = path_of(hypothesis.tokens, len(lattice))
            assert sum(float(lattice[s, k]) for s, k in enumerate(path)) == pytest.approx(entry.best_path, abs=1e-9)
            if entry.best_path > entry.runner_up + 1e-9:
                assert hypothesis.tokens == entry.best_tokens

    @given(lattices())
    def test_probabilities_of_all_sequences_sum_to_one(self, lattice: NDArray[np.float32]) -> None:
        found = decoded(unpruned(), lattice).n_best(EVERYTHING)
        assert math.fsum(math.exp(hypothesis.score) for hypothesis in found) == pytest.approx(1, abs=1e-5)

    @given(lattices(max_steps=5), st.floats(0.01, 3), st.floats(-2, 2))
    def test_language_model_and_bonus_are_added_once_per_token(
        self, lattice: NDArray[np.float32], weight: float, bonus: float
    ) -> None:
        width = lattice.shape[1]
        model = NgramModel.fit([[1, 1], [1, width - 1, 1], [width - 1]], [f"G{k}" for k in range(1, width)], order=2)
        found = decoded(unpruned(lm=model, lm_weight=weight, length_bonus=bonus), lattice).n_best(EVERYTHING)
        expected = {}
        for labels, entry in enumerate_paths(lattice).items():
            context, lm = model.start(), 0.0
            for label in labels:
                lm += model.log_probs(context)[label]
                context = model.advance(context, label)
            expected[labels] = entry.score + weight * lm + bonus * len(labels)
        assert {hypothesis.labels: hypothesis.score for hypothesis in found} == pytest.approx(expected, abs=1e-9)
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)

    @given(lattices(max_steps=6, max_width=3), st.integers(1, 6), st.booleans())
    def test_narrow_beam_drops_what_a_plain_one_drops(
        self, lattice: NDArray[np.float32], size: int, with_lm: bool
    ) -> None:
        model = NgramModel.fit([[1, 1, 1]], [f"G{k}" for k in range(1, lattice.shape[1])], order=2)
        weight, bonus = (0.7, 0.3) if with_lm else (0.0, 0.0)
        found = decoded(unpruned(size, lm=model, lm_weight=weight, length_bonus=bonus), lattice).n_best(size)
        plain = plain_prefix_beam(lattice, size, model, weight, bonus)
        assert [h.labels for h in found] == [labels for labels, _ in plain]
        assert [h.score for h in found] == pytest.approx([score for _, score in plain], abs=1e-9)


def path_of(tokens: Sequence[DecodedToken], steps: int) -> list[int]:
    path = [0] * steps
    for token in tokens:
        assert 0 <= token.start_step < token.end_step <= steps
        path[token.start_step : token.end_step] = [token.label] * (token.end_step - token.start_step)
    return path


def plain_prefix_beam(
    lattice: NDArray[np.floating], size: int, model: NgramModel, weight: float, bonus: float
) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search in linear probabilities, one dictionary, no shortcuts: the textbook form.

    Gives the example up where two prefixes score the same: who survives is then a matter of taste.
    """

    def prior(labels: tuple[int, ...]) -> float:
        context, total = model.start(), 0.0
        for label in labels:
            total += weight * model.log_probs(context)[label] + bonus
            context = model.advance(context, label)
        return total

    def score(item: tuple[tuple[int, ...], list[float]]) -> float:
        return math.log(sum(item[1])) + prior(item[0])

    beam: dict[tuple[int, ...], list[float]] = {(): [1.0, 0.0]}
    for row in np.exp(lattice.astype(np.float64)).tolist():
        following: dict[tuple[int, ...], list[float]] = {}
        for labels, (blank, label) in beam.items():
            for symbol, p in enumerate(row):
                if symbol == 0:
                    following.setdefault(labels, [0.0, 0.0])[0] += (blank + label) * p
                elif labels and labels[-1] == symbol:
                    following.setdefault(labels, [0.0, 0.0])[1] += label * p
                    following.setdefault((*labels, symbol), [0.0, 0.0])[1] += blank * p
                else:
                    following.setdefault((*labels, symbol), [0.0, 0.0])[1] += (blank + label) * p
        ranked = sorted((item for item in following.items() if sum(item[1]) > 0), key=score, reverse=True)
        assume(all(score(a) - score(b) > 1e-9 for a, b in itertools.pairwise(ranked[: size + 1])))
        beam = dict(ranked[:size])
    return [(labels, score((labels, masses))) for labels, masses in beam.items()]


class TestState:
    @given(lattices(max_steps=12, max_width=6), cuts, st.integers(1, 6))
    def test_beam_does_not_see_how_steps_were_cut(
        self, lattice: NDArray[np.float32], cut_at: list[int], size: int
    ) -> None:
        whole = decoded(BeamDecoder(size), lattice)
        pieces = fed_in_pieces(BeamDecoder(size), lattice, cut_at)
        assert pieces.n_best(size) == whole.n_best(size)
        assert pieces.steps == whole.steps == len(lattice)

    @given(lattices(max_steps=12, max_width=6), cuts)
    def test_greedy_does_not_see_how_steps_were_cut(self, lattice: NDArray[np.float32], cut_at: list[int]) -> None:
        assert fed_in_pieces(GreedyDecoder(), lattice, cut_at).best() == decoded(GreedyDecoder(), lattice).best()

    @given(lattices(max_steps=10), st.integers(0, 10), st.sampled_from([GreedyDecoder, BeamDecoder]))
    def test_a_copy_and_its_original_go_their_own_ways(
        self, lattice: NDArray[np.float32], at: int, kind: type[GreedyDecoder] | type[BeamDecoder]
    ) -> None:
        head, tail = lattice[:at], lattice[at:]
        original = decoded(kind(), head)
        before = original.best()
        twin = original.copy()
        twin.feed(tail)
        assert original.best() == before
        assert twin.best() == decoded(kind(), lattice).best()
        original.feed(tail[::-1])
        assert original.best() == decoded(kind(), np.concatenate([head, tail[::-1]])).best()
        assert twin.best() == decoded(kind(), lattice).best()
        twin.reset()
        assert original.steps == len(lattice)

    @pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamDecoder()], ids=["greedy", "beam"])
    def test_reset_forgets_and_sets_the_clock(self, decoder: Decoder) -> None:
        lattice = log([[0.1, 0.9], [0.8, 0.2]])
        decoder.feed(lattice)
        decoder.reset(step=100)
        assert decoder.best() == Hypothesis((), 0.0)
        decoder.feed(lattice)
        assert decoder.steps == 102
        (token,) = decoder.best().tokens
        assert (token.start_step, token.end_step) == (100, 101)

    @given(lattices(max_steps=12, max_width=4, min_steps=2), st.integers(1, 12), st.integers(1, 6))
    def test_committed_tokens_are_never_taken_back(self, lattice: NDArray[np.float32], at: int, size: int) -> None:
        for decoder in (BeamDecoder(size), GreedyDecoder()):
            decoder.feed(lattice[:at])
            committed = tuple(token.label for token in decoder.committed())
            decoder.feed(lattice[at:])
            for hypothesis in decoder.n_best(size) if isinstance(decoder, BeamDecoder) else [decoder.best()]:
                assert hypothesis.labels[: len(committed)] == committed

    def test_beam_commits_what_all_its_prefixes_share(self) -> None:
        decoder = BeamDecoder(beam=2)
        decoder.feed(log([[0.001, 0.998, 0.001], [0.998, 0.001, 0.001]]))
        decoder.feed(log([[0.02, 0.49, 0.49]]))
        assert [token.label for token in decoder.committed()] == [1]
        assert len(decoder.best().tokens) == 2


class TestGreedy:
    @given(lattices(max_steps=12, max_width=6))
    def test_is_the_collapsed_argmax(self, lattice: NDArray[np.float32]) -> None:
        path = lattice.argmax(axis=1)
        best = decoded(GreedyDecoder(), lattice).best()
        expected = tokens_of(path.tolist())
        assert best.tokens == expected
        assert best.score == pytest.approx(float(lattice.max(axis=1).sum(dtype=np.float64)), abs=1e-6)


BLANK_ROW, A, B = [0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]


class TestRepeatRule:
    """Faults of published decoders, each with the lattice that shows it."""

    @pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamDecoder()], ids=["greedy", "beam"])
    @pytest.mark.parametrize(
        ("rows", "labels"),
        [
            ([], ()),
            ([BLANK_ROW, BLANK_ROW], ()),
            ([A, A, A], (1,)),
            ([A, BLANK_ROW, A], (1, 1)),
            ([A, A, BLANK_ROW, BLANK_ROW, A, A], (1, 1)),
            ([A, B, A], (1, 2, 1)),
            ([A, A, B, B, BLANK_ROW, B], (1, 2, 2)),
        ],
    )
    def test_a_blank_between_makes_two(
        self, decoder: Decoder, rows: list[list[float]], labels: tuple[int, ...]
    ) -> None:
        decoder.reset()
        decoder.feed(log(rows) if rows else np.empty((0, 3)))
        assert decoder.best().labels == labels

    def test_staying_on_the_same_label_is_a_path_of_its_own(self) -> None:
        # Paths of "a": a a, a blank, blank a. A beam without the first scores 0.48 instead of 0.84.
        best = decoded(unpruned(), log([[0.4, 0.6], [0.4, 0.6]])).best()
        assert best.labels == (1,)
        assert math.exp(best.score) == pytest.approx(0.84)

    def test_a_repeat_may_only_follow_a_blank(self) -> None:
        # "a a" in three steps has the one path a blank a; counting a a a for it gives 0.36 + 0.216.
        found = {h.labels: math.exp(h.score) for h in decoded(unpruned(), log([[0.4, 0.6]] * 3)).n_best(9)}
        assert found[1, 1] == pytest.approx(0.6 * 0.4 * 0.6)
        assert found[1,] == pytest.approx(1 - 0.4**3 - 0.144)

    def test_many_weak_paths_beat_one_strong_path(self) -> None:
        lattice = log([[0.6, 0.4], [0.6, 0.4]])
        assert decoded(GreedyDecoder(), lattice).best().labels == ()
        best = decoded(BeamDecoder(), lattice).best()
        assert best.labels == (1,)
        assert math.exp(best.score) == pytest.approx(0.64)

    def test_staying_survives_even_where_the_label_is_pruned(self) -> None:
        # On the second step label 1 is far below the threshold for appending; staying on it still counts.
        lattice = log([[1e-9, 1 - 1e-9], [0.9, 0.1]])
        pruned, full = BeamDecoder(prune_log_prob=-1.0), unpruned()
        assert decoded(pruned, lattice).best().score == pytest.approx(decoded(full, lattice).best().score, abs=1e-12)

    def test_a_dropped_blank_variant_is_not_joined_by_removing_repeats_afterwards(self) -> None:
        lattice = log([A, BLANK_ROW, A, BLANK_ROW, BLANK_ROW])
        tokens = decoded(BeamDecoder(), lattice).best().tokens
        assert [(t.label, t.start_step, t.end_step) for t in tokens] == [(1, 0, 1), (1, 2, 3)]


class TestTimesAndScores:
    @pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamDecoder()], ids=["greedy", "beam"])
    def test_start_and_end(self, decoder: Decoder) -> None:
        decoder.reset()
        decoder.feed(log([BLANK_ROW, A, [0.2, 0.7, 0.1], BLANK_ROW, B]))
        first, second = decoder.best().tokens
        assert (first.label, first.start_step, first.end_step) == (1, 1, 3)
        assert (second.label, second.start_step, second.end_step) == (2, 4, 5)

    def test_default_pruning_changes_nothing_on_confident_lattices(self) -> None:
        rng = np.random.default_rng(5)
        for _ in range(20):
            logits = rng.normal(size=(16, 60)) * 4
            lattice = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
            pruned, full = decoded(BeamDecoder(5), lattice).best(), decoded(unpruned(5), lattice).best()
            assert pruned.labels == full.labels
            assert pruned.score == pytest.approx(full.score, abs=1e-3)

    def test_language_model_decides_between_look_alikes(self) -> None:
        model = NgramModel.fit([[1, 2]] * 20, ["A", "B", "C"], order=2)
        lattice = log([[0.01, 0.97, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01], [0.02, 0.01, 0.48, 0.49]])
        assert decoded(BeamDecoder(), lattice).best().labels == (1, 3)
        assert decoded(BeamDecoder(lm=model, lm_weight=0.5), lattice).best().labels == (1, 2)

    def test_long_streams_do_not_slow_down_or_overflow(self) -> None:
        decoder = BeamDecoder()
        decoder.feed(np.tile(log([A, BLANK_ROW, B, BLANK_ROW]), (600, 1)))
        assert decoder.best().labels == (1, 2) * 600


class TestBadInput:
    @pytest.mark.parametrize("decoder", [GreedyDecoder, BeamDecoder])
    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            (np.zeros(3, np.float32), "shape"),
            (np.zeros((2, 1), np.float32), "shape"),
            (np.zeros((1, 2, 3), np.float32), "shape"),
            (np.zeros((2, 3), np.int64), "floating"),
            (np.array([[0.2, 0.8]]), "logarithm"),
            (np.array([[-1.0, math.nan]]), "NaN"),
            (np.array([[-math.inf, -math.inf]]), "nothing is possible"),
        ],
    )
    def test_is_refused_before_anything_is_consumed(
        self, decoder: type[GreedyDecoder] | type[BeamDecoder], rows: NDArray[np.floating], says: str
    ) -> None:
        running = decoder()
        with pytest.raises(InvalidLattice, match=says):
            running.feed(rows)
        assert running.steps == 0

    @pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamDecoder()], ids=["greedy", "beam"])
    def test_the_vocabulary_cannot_change_on_the_way(self, decoder: Decoder) -> None:
        decoder.feed(log([[0.5, 0.5, 0.0]]))
        with pytest.raises(InvalidLattice, match="one vocabulary"):
            decoder.feed(log([[0.5, 0.5]]))

    def test_language_model_of_another_width_is_refused(self) -> None:
        decoder = BeamDecoder(lm=NgramModel.fit([[1]], ["A"], order=1), lm_weight=1.0)
        with pytest.raises(InvalidLattice, match="columns"):
            decoder.feed(log([[0.5, 0.3, 0.2]]))

    @pytest.mark.parametrize(
        "options",
        [
            {"beam": 0},
            {"lm_weight": -0.1},
            {"lm_weight": math.nan},
            {"length_bonus": math.inf},
            {"prune_log_prob": 1.0},
            {"top_labels": 0},
        ],
    )
    def test_impossible_options(self, options: dict[str, float]) -> None:
        with pytest.raises(ValueError):
            BeamDecoder(**options)  # type: ignore[arg-type]
