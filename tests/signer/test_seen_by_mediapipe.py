"""The videos that come with the project, through real MediaPipe: the landmarks drawn are the landmarks found."""

from __future__ import annotations

import numpy as np
import pytest

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, Keypoints, hand_present, person_present
from app.signer.prototypes import CORE, SHOULDERS, load

pytestmark = [pytest.mark.golden, pytest.mark.slow]


@pytest.fixture(scope="module")
def found(seen: dict[tuple[str, ...], Keypoints]) -> dict[str, Keypoints]:
    return {gloss: seen[(gloss,)] for gloss in CORE}


def hand_errors(drawn: Keypoints, seen: Keypoints, side: int) -> np.ndarray:
    """Mean distance of the 21 points in shoulder widths, for the frames in which the hand is drawn and found."""
    both = hand_present(drawn.points)[:, side] & hand_present(seen.points)[:, side]
    where = (LEFT_HAND, RIGHT_HAND)[side]
    apart = (drawn.points[both, where, :2] - seen.points[both, where, :2]) * [1, 3 / 4] / SHOULDERS
    return np.asarray(np.linalg.norm(apart, axis=-1).mean(axis=-1))


def test_the_body_is_found_in_every_frame(found: dict[str, Keypoints]) -> None:
    for gloss, seen in found.items():
        assert len(seen) == len(load()[gloss])
        assert person_present(seen.points).all(), gloss


def test_hands_are_found_where_they_are_drawn(found: dict[str, Keypoints]) -> None:
    drawn = {gloss: hand_present(load()[gloss].points) for gloss in found}
    both = {gloss: drawn[gloss] & hand_present(seen.points) for gloss, seen in found.items()}
    share = sum(b.sum() for b in both.values()) / sum(d.sum() for d in drawn.values())
    assert share >= 0.9
    for gloss, there in drawn.items():
        assert both[gloss][:, 1].sum() >= 0.6 * there[:, 1].sum(), gloss


def test_found_hands_have_the_drawn_shape_and_place(found: dict[str, Keypoints]) -> None:
    errors = {
        gloss: np.concatenate([hand_errors(load()[gloss], seen, side) for side in (0, 1)])
        for gloss, seen in found.items()
    }
    assert np.concatenate(list(errors.values())).mean() < 0.06
    for gloss, error in errors.items():
        assert np.median(error) < 0.13, gloss
