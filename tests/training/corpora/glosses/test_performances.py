"""Clips of a bank as the prototype signer's maker reads them: right-handed, no hand lost, none where it only rests."""

from __future__ import annotations

import numpy as np
import pytest

from app.pipeline.keypoints import NOSE
from app.signer.making.clips import REST_WRIST
from app.signer.making.hands import PALM
from app.training.corpora.glosses.bank import LEFT, POINTS, RIGHT, Bank, Clip
from app.training.corpora.glosses.performances import left_handed_signers, single_signs, unswapped
from tests.signer.making.test_build import SHAPE

FRAMES, SIZE = 50, 0.28
NOSE_Y = -0.6


def hand(x: float, up: float) -> np.ndarray:
    """A hand that comes up from rest to the height `up`, stays, and goes down: (FRAMES, 21, 2)."""
    t = np.arange(FRAMES)
    share = np.clip(np.minimum(t, FRAMES - 1 - t) / 8, 0, 1)
    wrist = np.stack([np.full(FRAMES, x), (1 - share) * 1.6 + share * up], axis=1)
    return wrist[:, None] + SIZE * SHAPE


def bank_of(*clips: tuple[str, str, np.ndarray | None, np.ndarray | None], split: str = "train") -> Bank:
    """Clips as (gloss, signer, left hand, right hand); NaN = not seen."""
    points = np.zeros((FRAMES * len(clips), POINTS, 2), np.float16)
    there = np.zeros((len(points), 3), bool)
    there[:, 0] = True
    table = []
    for number, (gloss, signer, left, right) in enumerate(clips):
        where = slice(number * FRAMES, (number + 1) * FRAMES)
        points[where, :7] = [[0, -0.5], [0.2, -0.55], [-0.2, -0.55], [0.05, -0.4], [-0.05, -0.4], [0.5, 0], [-0.5, 0]]
        for group, (part, place) in enumerate(((left, LEFT), (right, RIGHT)), start=1):
            if part is not None:
                points[where, place] = np.nan_to_num(part)
                there[where, group] = np.isfinite(part[:, 0, 0])
        table.append(Clip(gloss, signer, "wlasl", split, where.start, where.stop, 25.0))
    return Bank(points, there, tuple(table))


def test_a_clip_is_cut_to_the_stroke_and_measured_for_the_figure() -> None:
    found = single_signs(bank_of(("UP", "a", None, hand(-0.5, -0.3))), {"UP"}, NOSE_Y)["UP"][0]
    assert 0.5 * FRAMES < len(found.body) < 0.95 * FRAMES
    np.testing.assert_allclose(found.body[0, NOSE], [0, NOSE_Y], atol=0.01)
    assert np.isnan(found.shapes[:, 0]).all()
    np.testing.assert_allclose(found.wrists[:, 0], np.tile(REST_WRIST, (len(found.body), 1)))
    # Higher by the figure's longer neck; the fingers are where they were, though its hand is larger.
    middle = len(found.body) // 2
    fingers = found.wrists[middle, 1] + PALM * found.shapes[middle, 1, 5:].mean(axis=0)
    expected = np.array([-0.5, -0.3]) + SIZE * SHAPE[5:].mean(axis=0)
    np.testing.assert_allclose(fingers, expected * [1, NOSE_Y / -0.5], atol=0.03)


def test_other_glosses_and_dev_signers_are_left_alone() -> None:
    clips = [("UP", "a", None, hand(-0.5, -0.3)), ("DOWN", "a", None, hand(-0.5, 0.8))]
    assert set(single_signs(bank_of(*clips), {"UP"}, NOSE_Y)) == {"UP"}
    assert single_signs(bank_of(*clips, split="dev"), {"UP", "DOWN"}, NOSE_Y) == {}


def test_a_hand_that_was_lost_for_a_moment_is_there() -> None:
    right = hand(-0.5, -0.3)
    right[22:28] = np.nan
    found = single_signs(bank_of(("UP", "a", None, right)), {"UP"}, NOSE_Y)["UP"][0]
    assert np.isfinite(found.shapes[:, 1]).all()


def test_a_hand_that_rests_at_the_waist_takes_no_part() -> None:
    resting = np.tile((np.array([0.4, 1.4]) + SIZE * SHAPE)[None], (FRAMES, 1, 1))
    found = single_signs(bank_of(("UP", "a", resting, hand(-0.5, -0.3))), {"UP"}, NOSE_Y)["UP"][0]
    assert np.isnan(found.shapes[:, 0]).all()


@pytest.mark.parametrize("signer", ["lefty", "righty"])
def test_left_handers_are_mirrored_also_in_signs_with_both_hands(signer: str) -> None:
    one, two = hand(0.5, -0.3), hand(-0.5, 0.4)
    if signer == "lefty":
        clips = [("ONE", signer, one, None), ("TWO", signer, one, two)]
    else:
        clips = [("ONE", signer, None, one * [-1, 1]), ("TWO", signer, two * [-1, 1], one * [-1, 1])]
    found = single_signs(bank_of(*clips), {"ONE", "TWO"}, NOSE_Y)
    for gloss in ("ONE", "TWO"):
        clip = found[gloss][0]
        assert np.median(clip.wrists[:, 1, 1]) < 0 < np.median(clip.wrists[:, 0, 1]), gloss


def test_handedness_is_that_of_most_one_handed_signs() -> None:
    left, right, both = np.array([True, False]), np.array([False, True]), np.array([True, True])
    clips = [("a", left), ("a", left), ("a", right), ("b", right), ("b", left), ("b", both), ("c", both)]
    assert left_handed_signers(clips) == {"a"}


def test_confused_sides_are_changed_back_and_crossed_arms_stay() -> None:
    left, right = hand(0.3, 0.2), hand(-0.3, 0.2)
    hands = np.stack([left, right], axis=1)
    hands[10:20] = hands[10:20, ::-1]
    both = np.ones(FRAMES, bool)
    np.testing.assert_allclose(unswapped(hands, both), np.stack([left, right], axis=1))
    crossed = np.stack([hand(-0.15, 0.2), hand(0.15, 0.2)], axis=1)
    np.testing.assert_allclose(unswapped(crossed, both), crossed)
