from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from app.pipeline.module3_sequence.losses import UNKNOWN, LossConfig, total_loss
from app.pipeline.module3_sequence.model import Lattice


def lattice(rows: int = 4, steps: int = 6, labels: int = 3) -> Lattice:
    generator = torch.Generator().manual_seed(1)
    logits, conv = torch.randn(2, rows, steps, 1 + labels, generator=generator)
    return Lattice(logits, conv, torch.tensor([6, 5, 3, 2])[:rows], torch.ones(rows, steps, 2))


TARGETS, LENGTHS = torch.tensor([[1, 2], [3, 0], [2, 0], [1, 0]]), torch.tensor([2, 1, 1, 1])


def labels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    known = torch.randint(0, 4, (4, 6), generator=generator)
    return torch.where(torch.rand(4, 6, generator=generator) < 0.5, known, UNKNOWN)


def test_the_mean_of_the_losses_of_parts_is_the_loss_of_the_whole() -> None:
    config = LossConfig(auxiliary=0.5, distill=2.0, label_smoothing=0.1, framewise=1.5)
    whole, frame_labels = lattice(), labels()
    valid = torch.arange(6)[None] < whole.steps[:, None]
    frame_labels = torch.where(valid, frame_labels, UNKNOWN)
    loss, parts = total_loss(whole, TARGETS, LENGTHS, config, frame_labels)
    assert parts.keys() == {"ctc", "aux", "kl", "framewise"}
    mean = dict.fromkeys([*parts, "loss"], torch.tensor(0.0))
    for rows in (slice(0, 4, 2), slice(1, 4, 2)):
        part = Lattice(whole.logits[rows], whole.conv_logits[rows], whole.steps[rows], whole.gates[rows])
        of_part, named = total_loss(
            part,
            TARGETS[rows],
            LENGTHS[rows],
            config,
            frame_labels[rows],
            valid_steps=float(valid.sum()) / 2,
            known_steps=float((frame_labels != UNKNOWN).sum()) / 2,
        )
        mean = {k: v + {**named, "loss": of_part}[k] / 2 for k, v in mean.items()}
    for name, value in {**parts, "loss": loss}.items():
        torch.testing.assert_close(mean[name], value)


def test_framewise_reads_only_valid_steps_that_are_known() -> None:
    config = LossConfig(auxiliary=0.0, framewise=1.0)
    lat = lattice()
    frame_labels = torch.full((4, 6), UNKNOWN)
    frame_labels[0, 2], frame_labels[3, 1], frame_labels[3, 5] = 2, 0, 1  # the last one is padding
    _, parts = total_loss(lat, TARGETS, LENGTHS, config, frame_labels)
    expected = F.cross_entropy(torch.stack([lat.logits[0, 2], lat.logits[3, 1]]), torch.tensor([2, 0]))
    torch.testing.assert_close(parts["framewise"], expected)


@pytest.mark.parametrize("frame_labels", [None, torch.full((4, 6), UNKNOWN)])
def test_without_known_steps_framewise_adds_nothing(frame_labels: torch.Tensor | None) -> None:
    with_it, _ = total_loss(lattice(), TARGETS, LENGTHS, LossConfig(framewise=1.0), frame_labels)
    without, _ = total_loss(lattice(), TARGETS, LENGTHS, LossConfig())
    torch.testing.assert_close(with_it, without)
