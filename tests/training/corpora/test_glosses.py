"""The large-vocabulary corpus: features on the device, the synonyms table, packing, composed phrases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.module1_preprocessing.normalise import normalise
from app.training.corpora.glosses.bank import LEFT, POSE_POINTS, RIGHT, Bank, Clip, chosen_recordings
from app.training.corpora.glosses.compose import Composer, Recipe
from app.training.corpora.glosses.device import features
from app.training.corpora.glosses.names import gloss_of, left_out, synonyms
from app.training.corpora.glosses.pack import POSITION, pack, unpack
from app.training.corpora.glosses.strokes import find_strokes


def test_features_on_the_device_are_those_of_module_1() -> None:
    rng = np.random.default_rng(0)
    points = np.zeros((3, 90, 75, 3), np.float32)
    points[..., :2] = rng.normal(0.5, 0.2, (3, 90, 75, 2))
    points[..., 2] = 1
    points[:, :, [11, 12], :2] = np.array([[0.65, 0.5], [0.35, 0.5]]) + rng.normal(0, 0.02, (3, 90, 2, 2))
    body, left, right = (rng.random((3, 90)) < share for share in (0.9, 0.7, 0.8))
    body[0, :5] = False  # nobody there to begin with
    for where, there in ((slice(0, 33), body), (slice(33, 54), left), (slice(54, 75), right)):
        points[:, :, where, 2] *= there[..., None]
    expected = np.stack([normalise(clip, 1.0) for clip in points])

    kept = [*POSE_POINTS, *range(33, 75)]
    there = torch.from_numpy(np.stack([body, left, right], axis=-1))
    made = features(torch.from_numpy(points[:, :, kept, :2]), there).numpy()

    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_synonyms_bear_the_common_word() -> None:
    assert gloss_of("mom") == gloss_of("mother") == "MOTHER"
    assert gloss_of("food") == "EAT"
    assert gloss_of("thank you") == "THANK-YOU"
    assert (gloss_of("fine"), gloss_of("cost")) == ("FINE", "COST")
    assert gloss_of("b") is None
    assert not left_out() & set(synonyms().values())


def test_a_recording_under_two_glosses_counts_for_the_more_recorded() -> None:
    def row(gloss: str, recording: int, variation: str = "0") -> dict[str, str]:
        return {"gloss": gloss, "recording": str(recording), "variation": variation}

    rows = [row("go", 1), row("attend", 1), row("go", 2), row("mom", 3), row("mother", 3), row("go", 4, "1")]
    assert chosen_recordings(rows) == {0: "GO", 2: "GO", 3: "MOTHER"}


@pytest.fixture
def bank() -> Bank:
    """Three clips each of four glosses of one signer; the hand comes up, stays and goes down again."""
    rng = np.random.default_rng(1)
    frames, clips = [], []
    for number in range(12):
        points = np.zeros((40, 53, 2), np.float32)
        points[:, 5], points[:, 6] = (0.5, 0), (-0.5, 0)
        height = np.interp(np.arange(40), [0, 10, 30, 39], [2.0, 0.2, 0.2, 2.0])
        points[:, RIGHT] = rng.normal(0, 0.1, (1, 21, 2)) + np.stack([np.full(40, -0.3), height], 1)[:, None]
        frames.append(points.astype(np.float16))
        clips.append(Clip("ABCD"[number // 3], "x", "wlasl", "train", 40 * number, 40 * number + 40, 25.0))
    there = np.tile(np.array([[True, False, True]]), (480, 1))
    return Bank(np.concatenate(frames), there, tuple(clips))


def test_a_packed_bank_comes_back(bank: Bank, tmp_path: Path) -> None:
    pack(bank, tmp_path / "bank.xz")
    back = unpack(tmp_path / "bank.xz")
    assert back.clips == bank.clips
    np.testing.assert_array_equal(back.there, bank.there)
    np.testing.assert_allclose(back.points.astype(np.float32), bank.points.astype(np.float32), atol=1.1 / POSITION)
    assert not back.points[:, LEFT].any()


def test_the_stroke_is_without_rise_and_fall(bank: Bank) -> None:
    strokes = find_strokes(bank)
    first, end = strokes.stroke[0]
    assert (5 <= first <= 10, 30 <= end <= 35) == (True, True)
    assert strokes.takes_part[0].tolist() == [False, True]


def test_phrases_are_fluent_and_say_where_each_sign_is(bank: Bank) -> None:
    recipe = Recipe(wlasl=1, nothing=0, single=0, fluent=1, hold=0, lost=0, false_start=0)
    composer = Composer(bank, find_strokes(bank), list(range(12)), tuple("ABCD"), recipe)
    rng = np.random.default_rng(2)
    for _ in range(50):
        phrase = composer.draw(rng)
        assert all(a != b for a, b in zip(phrase.labels, phrase.labels[1:], strict=False))
        ends = [0, *(end for _, _, end in phrase.spans)]
        assert all(ends[i] <= start < end for i, (_, start, end) in enumerate(phrase.spans))
        assert ends[-1] <= len(phrase)
        for label, start, end in phrase.spans:
            clip = phrase.first[(start + end) // 2, 0] // 120
            assert clip == label - 1
        again = composer.draw(np.random.default_rng(3))
    assert again.labels == composer.draw(np.random.default_rng(3)).labels
