from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.keypoints import hand_present
from app.pipeline.module3_sequence.losses import feasible
from app.training.augment import AugmentConfig
from app.training.batches import GROUP
from app.training.corpora.signs.clips import active_range, load_signs, signs_of
from app.training.corpora.signs.phrases import (
    Phrase,
    PhraseConfig,
    PhraseSampler,
    Sign,
    crop_window,
    signer_book,
    transition,
)
from app.training.corpora.signs.source import PhraseBatches
from app.training.errors import CorpusError
from tests.support.recognisers import performance
from tests.support.signs_corpus import write_corpus

VOCABULARY = ("HELLO", "HOW", "NAME", "YES", "YOU")


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> PhraseSampler:
    clips = load_signs(write_corpus(tmp_path_factory.mktemp("signs")), "train")
    return PhraseSampler(signer_book(clips, set(VOCABULARY)), PhraseConfig(false_start=0.2, still=0.1))


def test_the_corpus_loads_by_split_and_marks_missing_hands(tmp_path: Path) -> None:
    clips = load_signs(write_corpus(tmp_path), "train")
    assert len(clips) == 24
    assert {c.signer for c in clips} == {"ann", "bob"}
    assert hand_present(clips[0].points.astype(np.float32))[:4].tolist() == [[False] * 2] * 3 + [[True] * 2]
    assert active_range(clips[0].points) == (3, 20)


def test_a_missing_corpus_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"train\.npz and clips\.csv"):
        load_signs(tmp_path, "train")


@pytest.mark.parametrize(("gloss", "signs"), [("HELLO", ("HELLO",)), ("NONE", ()), ("HOW-ARE-YOU", ("HOW", "YOU"))])
def test_recorded_phrases_count_as_their_parts(gloss: str, signs: tuple[str, ...]) -> None:
    assert signs_of(gloss) == signs


def test_a_phrase_is_one_signers_and_its_signs_lie_in_order_inside_it(sampler: PhraseSampler) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        phrase = sampler.draw(rng)
        assert set(phrase.glosses) <= set(VOCABULARY)
        for a, b in itertools.pairwise(phrase.signs):
            assert a.end <= b.start
        for sign in phrase.signs:
            assert 0 <= sign.start < sign.end <= len(phrase.points)
        assert phrase.signer in ("ann", "bob", "")
        assert np.isfinite(phrase.points).all()


def test_as_many_signs_as_asked_for(sampler: PhraseSampler) -> None:
    rng = np.random.default_rng(1)
    # A recorded phrase is drawn as one clip and counts as its parts.
    assert {len(sampler.draw(rng, signs=3).signs) for _ in range(40)} <= {3, 4, 5, 6}


def test_a_transition_goes_from_one_pose_to_the_other_without_jumps() -> None:
    a, b = performance(2, 1)[0], performance(2, 2)[0]
    path = np.concatenate([a[None], transition(a, b, 9), b[None]])
    steps = np.abs(np.diff(path[..., :2], axis=0)).max(axis=(1, 2))
    assert steps.max() < 0.4 * np.abs(b - a)[:, :2].max()


def test_a_window_keeps_the_labels_of_signs_that_are_mostly_inside() -> None:
    phrase = Phrase(np.zeros((200, 75, 3), np.float32), (Sign("HELLO", 0, 40), Sign("YES", 70, 110)))
    seen = set()
    for seed in range(200):
        window = crop_window(phrase, np.random.default_rng(seed), PhraseConfig(window=64))
        seen.add((len(window.points), tuple(window.glosses)))
    assert (64, ("HELLO",)) in seen
    assert (64, ("YES",)) in seen
    assert (64, ()) in seen
    assert {n for n, _ in seen} <= {64, 200}


def test_batches_depend_on_seed_and_number_alone(sampler: PhraseSampler) -> None:
    first = PhraseBatches(sampler, VOCABULARY, 4, 2 * GROUP, 3, AugmentConfig())
    again = PhraseBatches(sampler, VOCABULARY, 4, 2 * GROUP, 3, AugmentConfig())
    later = again[GROUP + 2]  # reading ahead must not change an earlier batch
    torch.testing.assert_close(first[1].features, again[1].features)
    torch.testing.assert_close(first[GROUP + 2].features, later.features)
    other = PhraseBatches(sampler, VOCABULARY, 4, 2 * GROUP, 4, AugmentConfig())[1].features
    assert other.shape != first[1].features.shape or not torch.equal(other, first[1].features)


def test_every_clip_of_a_batch_fits_its_lattice(sampler: PhraseSampler) -> None:
    batches = PhraseBatches(sampler, VOCABULARY, 8, GROUP, 0, AugmentConfig())
    for i in range(GROUP):
        batch = batches[i]
        assert batch.features.shape[1] == int(batch.lengths.max())
        for length, target, size in zip(batch.lengths, batch.targets, batch.target_lengths, strict=True):
            assert int(length) % 4 == 0
            assert feasible(int(length) // 4, target[: int(size)].tolist())
