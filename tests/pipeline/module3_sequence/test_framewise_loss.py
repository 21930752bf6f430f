from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from app.pipeline.module3_sequence.losses import LossConfig, total_loss
from app.pipeline.module3_sequence.model import Lattice


def made_up() -> tuple[Lattice, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    steps = torch.tensor([5, 3])
    lattice = Lattice(torch.randn(2, 5, 4), torch.randn(2, 5, 4), steps, torch.zeros(2, 10, 2))
    frames = torch.tensor([[0, 1, 1, -100, 2], [3, 3, 0, 1, 1]])  # what lies past step 3 of the second is not a step
    return lattice, torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), frames


def test_boundaries_teach_both_heads_and_only_known_steps() -> None:
    lattice, targets, lengths, frames = made_up()
    config = LossConfig(main=0.0, auxiliary=0.5, framewise=2.0)
    with_frames, parts = total_loss(lattice, targets, lengths, config, frame_labels=frames)
    without, _ = total_loss(lattice, targets, lengths, config)
    rows, steps = [0, 0, 0, 0, 1, 1, 1], [0, 1, 2, 4, 0, 1, 2]
    labels = frames[rows, steps]
    later = F.cross_entropy(lattice.logits[rows, steps], labels)
    earlier = F.cross_entropy(lattice.conv_logits[rows, steps], labels)
    assert float(parts["framewise"]) == pytest.approx(float(later), rel=1e-5)
    assert float(with_frames - without) == pytest.approx(float(2 * (later + 0.5 * earlier)), rel=1e-4)


def test_the_weight_of_ctc_itself_can_be_turned_down() -> None:
    lattice, targets, lengths, _ = made_up()
    (whole, parts), (half, _) = (
        total_loss(lattice, targets, lengths, LossConfig(main=main, auxiliary=0.0)) for main in (1.0, 0.5)
    )
    assert float(whole) == pytest.approx(float(parts["ctc"]))
    assert float(half) == pytest.approx(float(whole) / 2)
