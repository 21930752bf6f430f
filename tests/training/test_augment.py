from __future__ import annotations

import numpy as np

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, hand_present
from app.training.augment import AugmentConfig, augment, to_body
from tests.support.recognisers import performance


def test_clips_of_one_signer_from_two_sittings_fit_together() -> None:
    near, far = performance(20), performance(20)
    far[..., :2] = far[..., :2] * 0.5 + 0.2
    a, b = to_body(near), to_body(far)
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert to_body(np.zeros((5, 75, 3))) is None


def test_augmenting_keeps_length_and_never_moves_a_missing_hand_into_sight() -> None:
    points = to_body(performance(50))
    assert points is not None
    points[10:20, LEFT_HAND] = 0
    for seed in range(30):
        config = AugmentConfig(mirror=0.0, low_rate=0.0, frame_dropout=0.0, hand_rotation=0.2)
        out = augment(points, np.random.default_rng(seed), config)
        assert out.shape == points.shape
        assert not hand_present(out)[10:20, 0].any()


def test_mirroring_swaps_the_hands() -> None:
    points = to_body(performance(10))
    assert points is not None
    points[:, RIGHT_HAND] = 0
    quiet = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "jitter": 0.0, "hand_dropout": 0.0, "frame_dropout": 0.0}
    out = augment(points, np.random.default_rng(0), AugmentConfig(mirror=1.0, **quiet))
    assert hand_present(out).tolist() == [[False, True]] * 10
    np.testing.assert_allclose(out[:, RIGHT_HAND, 0], -points[:, LEFT_HAND, 0], atol=1e-5)
