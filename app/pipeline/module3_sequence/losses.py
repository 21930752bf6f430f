"""Training losses: CTC on both heads and distillation of the later into the earlier."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from app.pipeline.module3_sequence.model import BLANK, Lattice


@dataclass(frozen=True)
class LossConfig:
    """Weights of the auxiliary CTC and of the KL term; `temperature` of the KL (VAC, Min et al., 2021).

    main: weight of the CTC itself. frames: weight of the cross-entropy of every lattice step on both heads, for corpora
    that say where each sign begins and ends.
    """

    main: float = 1.0
    auxiliary: float = 0.5
    frames: float = 0.0
    distill: float = 0.0
    temperature: float = 8.0
    label_smoothing: float = 0.0


def ctc(logits: Tensor, steps: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """CTC loss in float32, mean over clips of loss / labels: (B, S, V), (B,), (B, L), (B,) -> ().

    Clips whose labels cannot fit their lattice contribute 0 (`zero_infinity`); `feasible` says which.
    """
    log_probs = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    return F.ctc_loss(log_probs, targets, steps, target_lengths, blank=BLANK, zero_infinity=True)


def frame_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the steps whose label is known: (B, S, V), (B, S) int64 with -100 = unknown -> (), 0 where
    none is."""
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known].float(), labels[known])


def feasible(steps: int, labels: list[int]) -> bool:
    """Can CTC emit these labels in that many steps? Each label needs one, each repeat a blank between."""
    repeats = sum(a == b for a, b in itertools.pairwise(labels))
    return steps >= len(labels) + repeats


def total_loss(
    lattice: Lattice,
    targets: Tensor,
    target_lengths: Tensor,
    config: LossConfig,
    frame_labels: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss to minimise and its named parts (each a detached scalar).

    frame_labels: (B, S) label of each lattice step, 0 between signs, -100 where it is unknown; they count only where
    `config.frames` gives them weight.
    """
    main = ctc(lattice.logits, lattice.steps, targets, target_lengths)
    loss, parts = config.main * main, {"ctc": main.detach()}
    if config.frames and frame_labels is not None:
        frames = frame_cross_entropy(lattice.logits, frame_labels)
        loss = loss + config.frames * frames
        parts["frames"] = frames.detach()
        if config.auxiliary:
            loss = loss + config.frames * config.auxiliary * frame_cross_entropy(lattice.conv_logits, frame_labels)
    if config.auxiliary:
        auxiliary = ctc(lattice.conv_logits, lattice.steps, targets, target_lengths)
        loss = loss + config.auxiliary * auxiliary
        parts["aux"] = auxiliary.detach()
    valid = torch.arange(lattice.logits.shape[1], device=lattice.logits.device)[None] < lattice.steps[:, None]
    if config.distill:
        t = config.temperature
        teacher = F.log_softmax(lattice.logits.detach().float() / t, dim=-1)
        student = F.log_softmax(lattice.conv_logits.float() / t, dim=-1)
        kl = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
        distill = (kl * valid).sum() / valid.sum() * t * t
        loss = loss + config.distill * distill
        parts["kl"] = distill.detach()
    if config.label_smoothing:
        # Pulls the lattice a little towards uniform where it is overconfident (Pereyra et al., 2017).
        log_probs = F.log_softmax(lattice.logits.float(), dim=-1)
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        loss = loss - config.label_smoothing * (entropy * valid).sum() / valid.sum()
    return loss, parts
