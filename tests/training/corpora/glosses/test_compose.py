from __future__ import annotations

import numpy as np

from app.training.corpora.glosses.compose import Composer, Recipe
from app.training.corpora.glosses.strokes import find_strokes
from tests.support.glosses_corpus import GLOSSES, small_bank


def test_the_stroke_is_without_rise_and_fall() -> None:
    strokes = find_strokes(small_bank())
    first, end = strokes.stroke[0]
    assert (5 <= first <= 10, 30 <= end <= 35) == (True, True)
    assert strokes.takes_part[0].tolist() == [False, True]


def test_phrases_are_fluent_and_say_where_each_sign_is() -> None:
    bank = small_bank()
    recipe = Recipe(wlasl=1, nothing=0, single=0, fluent=1, hold=0, lost=0, false_start=0)
    composer = Composer(bank, find_strokes(bank), bank.of(split="train"), GLOSSES, recipe)
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
