from __future__ import annotations

import numpy as np
import pytest

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, Keypoints
from app.pipeline.module3_sequence.taught import TaughtSign, unit
from app.pipeline.module3_sequence.teaching import (
    ReadBack,
    Unusable,
    check_recording,
    check_together,
    confusable,
    read_back,
)
from tests.support.recognisers import performance


def recording(frames: int = 40, first: int = 8, last: int = 8, fps: float = 25) -> Keypoints:
    """Hands out of sight in the first and last frames."""
    points = performance(frames)
    for where in (LEFT_HAND, RIGHT_HAND):
        points[:first, where] = 0
        points[frames - last :, where] = 0
    return Keypoints.at_rate(points, fps)


def near(direction: int, seed: int, spread: float = 0.1) -> np.ndarray:
    row = np.eye(24)[direction] + np.random.default_rng(seed).normal(0, spread, 24)
    return unit(row)


def test_a_recording_from_rest_to_rest_is_fine() -> None:
    assert check_recording(recording()) == []


@pytest.mark.parametrize(
    ("clip", "code", "says"),
    [
        (recording(first=40, last=0), "no_hands", "light from the front"),
        (recording(frames=20, first=10, last=5), "too_short", "at your usual pace"),
        (recording(frames=300), "too_long", "the sign alone"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_what_to_do(clip: Keypoints, code: str, says: str) -> None:
    with pytest.raises(Unusable, match=says) as refused:
        check_recording(clip)
    assert refused.value.note.code == code


@pytest.mark.parametrize(("first", "last", "notes"), [(0, 8, 1), (8, 0, 1), (0, 0, 2), (1, 8, 0), (8, 1, 0)])
def test_hands_that_are_up_at_an_end_mean_that_it_was_cut_off(first: int, last: int, notes: int) -> None:
    found = check_recording(recording(first=first, last=last))
    assert [note.code for note in found] == ["cut_off"] * notes
    assert all("hands down" in note.message for note in found)


def test_hands_in_the_lap_are_not_up() -> None:
    points = recording(first=0, last=0).points.copy()
    points[[0, 1, -2, -1], LEFT_HAND.start :, 1] += 0.6
    assert check_recording(Keypoints.at_rate(points, 25)) == []


def test_recordings_of_one_sign_get_no_note() -> None:
    assert check_together(np.stack([near(0, seed) for seed in range(4)])) == []
    assert check_together(near(0, 1)[None]) == []


def test_three_different_signs_are_refused_and_two_are_told() -> None:
    with pytest.raises(Unusable, match="3 different signs") as refused:
        check_together(np.stack([near(0, 1), near(5, 2), near(9, 3)]))
    assert refused.value.note.code == "different_signs"
    assert [note.code for note in check_together(np.stack([near(0, 1), near(5, 2)]))] == ["different"]
    assert [note.code for note in check_together(np.stack([near(0, 1), near(0, 2), near(9, 3)]))] == ["different"]
    assert check_together(np.stack([near(9, 3), near(0, 1), near(0, 2)])) == []  # said when it was made


def test_the_same_recording_twice_is_told() -> None:
    assert [note.code for note in check_together(np.stack([near(0, 1), near(0, 1)]))] == ["same"]


def test_signs_that_look_alike_are_named() -> None:
    sign, like, other = (TaughtSign.of(name, near(place, 1)[None]) for name, place in (("A", 0), ("LIKE", 0), ("B", 5)))
    (note,) = confusable(sign, [like, other])
    assert note.code == "confusable"
    assert "LIKE" in note.message
    assert confusable(sign, [other]) == []


def test_leave_one_out_is_what_a_set_without_the_recording_answers() -> None:
    rows = {
        "A": np.stack([near(0, seed, 0.3) for seed in range(5)]),
        "B": np.stack([near(1, 10 + seed, 0.3) for seed in range(4)] + [near(0, 99, 0.05)]),
        "ONE": near(2, 50)[None],
    }
    expected = {}
    for gloss in ("A", "B"):
        taken = []
        for i, row in enumerate(rows[gloss]):
            others = rows | {gloss: np.delete(rows[gloss], i, axis=0)}
            scores = {g: float((TaughtSign.of(g, own).rows @ row).max()) for g, own in others.items()}
            taken.append(max(scores, key=lambda g: scores[g]))
        wrong = [said for said in taken if said != gloss]
        expected[gloss] = ReadBack(len(taken) - len(wrong), len(taken), tuple(dict.fromkeys(wrong)))
    assert read_back(rows) == expected
    assert expected["B"].right < 5
    assert "A" in expected["B"].confused_with
    assert read_back({}) == {}
