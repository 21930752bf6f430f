from __future__ import annotations

import numpy as np
import torch

from app.pipeline.module1_preprocessing.normalise import normalise
from app.training.corpora.glosses.bank import POSE_POINTS
from app.training.corpora.glosses.device import Disturbance, disturb, features


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


def test_each_row_is_disturbed_as_strongly_as_it_says() -> None:
    generator = torch.Generator().manual_seed(1)
    points, there = torch.randn(3, 40, 53, 2, generator=generator), torch.ones(3, 40, 3, dtype=torch.bool)
    how = Disturbance(mirror=0, hand_lost=0)
    moved, _ = disturb(points.clone(), there, how, generator, torch.tensor([0.0, 1.0, 3.0]))
    away = (moved - points).abs().mean(dim=(1, 2, 3))
    assert away[0] < 1e-6
    assert away[1] < away[2]


def test_a_hand_is_lost_for_several_frames_at_a_time() -> None:
    points, there = torch.zeros(40, 100, 53, 2), torch.ones(40, 100, 3, dtype=torch.bool)
    _, seen = disturb(points, there, Disturbance(hand_lost=0, burst=1), torch.Generator().manual_seed(1))
    lost = ~seen[..., 1:]
    assert seen[..., 0].all()
    assert 0.1 < lost.float().mean() < 0.4
    # A frame after one that is lost is mostly lost too.
    assert lost[:, 1:][lost[:, :-1]].float().mean() > 0.7
