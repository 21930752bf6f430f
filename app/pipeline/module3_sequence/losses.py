"""Training losses: CTC on both heads and distillation of the later into the earlier."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from app.pipeline.module3_sequence.model import Lattice
from app.pipeline.module3_sequence.steps import BLANK

#: Frame label of a step whose sign is not known.
UNKNOWN = -100


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss (VAC, Min et al., 2021)."""

    main: float = 1.0
    """CTC of the later head."""
    auxiliary: float = 0.5
    """CTC of the earlier head."""
    distill: float = 0.0
    """KL from the later head to the earlier one."""
    temperature: float = 8.0
    """Temperature of that KL, not a weight."""
    label_smoothing: float = 0.0
    framewise: float = 0.0
    """Cross entropy at lattice steps whose sign is known, for corpora with boundaries; `auxiliary` times as much for
    the earlier head."""
    streams: float = 0.5
    """CTC of each stream's own head, where the model has them."""


def ctc(logits: Tensor, steps: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """CTC loss in float32, mean over clips of loss / labels: (B, S, V), (B,), (B, L), (B,) -> ().

    Clips whose labels cannot fit their lattice contribute 0 (`zero_infinity`); `feasible` says which.
    """
    log_probs = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    return F.ctc_loss(log_probs, targets, steps, target_lengths, blank=BLANK, zero_infinity=True)


def steps_needed(labels: list[int]) -> int:
    """Least steps in which CTC can emit these labels: one for each, and a blank before each repeat."""
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def feasible(steps: int, labels: list[int]) -> bool:
    """Can CTC emit these labels in that many steps?"""
    return steps >= steps_needed(labels)


def total_loss(
    lattice: Lattice,
    targets: Tensor,
    target_lengths: Tensor,
    config: LossConfig,
    frame_labels: Tensor | None = None,
    valid_steps: float | None = None,
    known_steps: float | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss to minimise and its named parts (each a detached scalar).

    frame_labels: (B, S) label ids, -100 where unknown. valid_steps, known_steps: what means over lattice steps, and
    over those with a frame label, divide by; without them, how many the batch has. Where the batch is a part of a
    larger one, give the mean number over its parts: then the mean of the parts' losses is the loss of the whole.
    (Means over clips need nothing of the kind, because parts have equally many clips.)
    """
    main = ctc(lattice.logits, lattice.steps, targets, target_lengths)
    loss, parts = config.main * main, {"ctc": main.detach()}

    def add(name: str, term: Tensor, weight: float) -> None:
        nonlocal loss
        loss, parts[name] = loss + weight * term, term.detach()

    if config.auxiliary:
        add("aux", ctc(lattice.conv_logits, lattice.steps, targets, target_lengths), config.auxiliary)
    valid = torch.arange(lattice.logits.shape[1], device=lattice.logits.device)[None] < lattice.steps[:, None]
    steps = valid.sum() if valid_steps is None else valid_steps
    if config.distill:
        t = config.temperature
        teacher = F.log_softmax(lattice.logits.detach().float() / t, dim=-1)
        student = F.log_softmax(lattice.conv_logits.float() / t, dim=-1)
        kl = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
        add("kl", (kl * valid).sum() / steps * t * t, config.distill)
    for name, logits in lattice.streams.items():
        add(f"ctc_{name}", ctc(logits, lattice.steps, targets, target_lengths), config.streams)
    if lattice.with_images:
        # Not a loss: the weight of the images in the fused frames, 0 at the start.
        frames = valid.repeat_interleave(lattice.gates.shape[1] // valid.shape[1], dim=1)
        parts["rgb_gate"] = (lattice.gates[..., 0].detach() * frames).sum() / frames.sum()
    if config.label_smoothing:
        # Pulls the lattice a little towards uniform where it is overconfident (Pereyra et al., 2017).
        log_probs = F.log_softmax(lattice.logits.float(), dim=-1)
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        loss = loss - config.label_smoothing * (entropy * valid).sum() / steps
    if config.framewise and frame_labels is not None:
        labels = torch.where(valid, frame_labels[:, : valid.shape[1]], UNKNOWN)
        known = (int((labels != UNKNOWN).sum()) if known_steps is None else known_steps) or 1

        def framewise(logits: Tensor) -> Tensor:
            flat = logits.float().flatten(0, 1)
            return F.cross_entropy(flat, labels.flatten(), ignore_index=UNKNOWN, reduction="sum") / known

        later = framewise(lattice.logits)
        parts["framewise"] = later.detach()
        if config.auxiliary:
            later = later + config.auxiliary * framewise(lattice.conv_logits)
        loss = loss + config.framewise * later
    return loss, parts
