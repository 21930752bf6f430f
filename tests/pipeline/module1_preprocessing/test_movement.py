"""The movement of the hands is the same however the frames come, and says when none is seen."""

from __future__ import annotations

import numpy as np
import pytest

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND
from app.pipeline.module1_preprocessing.movement import HEIGHT, MOVEMENT_DIM, SPEED, UNSEEN, hand_movement
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES, normalise
from tests.support.recognisers import performance


@pytest.mark.parametrize("step", [1, 3, 40])
def test_cutting_the_frames_into_calls_changes_nothing(step: int) -> None:
    points = performance(40)
    points[5:20, [*range(LEFT_HAND.start, LEFT_HAND.stop), *range(RIGHT_HAND.start, RIGHT_HAND.stop)]] = 0
    features = normalise(points, 4 / 3)
    whole = hand_movement(features)
    parts, last = [], None
    for first in range(0, 40, step):
        parts.append(hand_movement(features[first : first + step], last))
        last = parts[-1][-1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole[5:20, UNSEEN].tolist() == list(range(1, 16))
    assert (whole[5:20, HEIGHT] == whole[4, HEIGHT]).all()
    assert (whole[5:20, SPEED] == 0).all()
    assert whole[20, UNSEEN] == 0


def test_height_is_that_of_the_higher_wrist_over_the_shoulders() -> None:
    points = performance(30)
    higher = points[:, [LEFT_HAND.start, RIGHT_HAND.start], 1].min(axis=1)
    movement = hand_movement(normalise(points, 1.0))
    assert np.corrcoef(movement[:, HEIGHT], -higher)[0, 1] > 0.95
    assert movement[1:, SPEED].max() > 0
    assert (hand_movement(normalise(np.repeat(points[:1], 9, axis=0), 1.0))[:, SPEED] == 0).all()


def test_before_any_hand_there_is_none() -> None:
    movement = hand_movement(np.zeros((4, NUM_FEATURES), np.float32))
    assert movement.shape == (4, MOVEMENT_DIM)
    assert np.isinf(movement[:, UNSEEN]).all()
    assert (movement[:, [HEIGHT, SPEED]] == 0).all()
    assert hand_movement(np.zeros((0, NUM_FEATURES), np.float32)).shape == (0, MOVEMENT_DIM)
