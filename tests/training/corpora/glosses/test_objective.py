from __future__ import annotations

import torch

from app.training.corpora.glosses.objective import step_labels, stretch_means


def test_a_stretch_is_the_mean_of_its_steps_and_one_step_at_least() -> None:
    hidden = torch.arange(5.0)[None, :, None]
    spans = torch.tensor([[0, 4, 12, 1], [0, 17, 17, 2], [0, 16, 40, 3]])  # past the end: what there is
    assert stretch_means(hidden, spans).flatten().tolist() == [1.5, 4.0, 4.0]


def test_steps_bear_the_sign_of_their_stretch_and_the_blank_outside() -> None:
    spans = torch.tensor([[0, 4, 12, 3], [1, 8, 9, 2]])
    assert step_labels(2, 4, spans).tolist() == [[0, 3, 3, 0], [0, 0, 2, 0]]
