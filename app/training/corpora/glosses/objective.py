"""What is minimised: CTC on both heads, and a loss on each sign's stretch through the same classifier.

With two thousand glosses CTC alone hardly starts. The composed phrase says where each sign lies, so the mean of the
sequence model's outputs over that stretch must be classified as the sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.pipeline.module3_sequence.losses import ctc
from app.pipeline.module3_sequence.model import CosineClassifier, SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR
from app.training.corpora.glosses.batches import IndexBatch

#: A logit that leaves nothing of a gloss, without the gradients of infinity.
_NEVER = -1e4


@dataclass(frozen=True)
class Objective:
    """Weights of the parts beside the CTC of the sequence head."""

    auxiliary: float = 0.5
    """CTC of the head after the convolutions."""
    stretch: float = 1.0
    """Cross entropy of each sign's stretch."""
    smoothing: float = 0.1
    """Label smoothing in it."""
    extend: float = 0.6
    """Share of the stretches that are made longer at random, at most to the middle of the way to the next sign or to
    the end of the phrase, as a reader that knows where a sign is only roughly takes them."""
    masked: float = 0.3
    """Share of the phrases that are read with a smaller vocabulary: a random part of the glosses, the phrase's own
    among them."""
    distil: float = 0.0
    """How much of the stretches' loss is the cross entropy to the mean answer of the teachers, 0..1."""
    inside: float = 0.2
    """Cross entropy of each lattice step inside a stretch among the signs, the blank left out: when CTC emits the sign
    is its own affair, but wherever it might, it should be the right one."""
    framewise: float = 0.0
    """Cross entropy of each lattice step: the sign inside its stretch, the blank outside."""


@dataclass(frozen=True)
class Output:
    """What the network says about a batch."""

    logits: Tensor
    """(B, S, 1 + labels)."""
    conv_logits: Tensor
    """(B, S, 1 + labels) of the head after the convolutions."""
    pooled: Tensor
    """(n, 1 + labels) of each sign's stretch."""


def run(model: SignModel, features: Tensor, spans: Tensor) -> Output:
    """The network over a padded batch. What is padded is the last frame, held: it is read like any held pose."""
    short, _ = model.encode_frames(features, None)
    hidden = model.sequence(short, None)
    classifier = model.classifier
    # Each step weighs the same: what is classified is the mean of the lattice's own logits.
    dropped = model.dropout(hidden).float()
    return Output(
        classifier(dropped),
        (model.conv_classifier or classifier)(short.float()),
        mean_logits(classifier, dropped, spans),
    )


class Forward(nn.Module):
    """`run` as a module's call, which DistributedDataParallel can wrap."""

    def __init__(self, model: SignModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, spans: Tensor) -> Output:
        return run(self.model, features, spans)


def mean_logits(classifier: CosineClassifier, hidden: Tensor, spans: Tensor) -> Tensor:
    """(B, S, dim), spans (n, 4) in frames -> (n, classes): the mean of the classifier's logits over each stretch."""
    pooled = stretch_means(F.normalize(hidden, dim=-1), spans)
    return classifier.scale * F.linear(pooled, F.normalize(classifier.weight, dim=-1))


def extended(spans: Tensor, lengths: Tensor, share: Tensor) -> Tensor:
    """Stretches (n, 4) made longer into the gaps around them, where no other sign is.

    spans: as in a batch, row by row in the order of time. lengths: (B,) frames. share: (n, 2) of the gap before and
    after that is taken; 1 is the middle between two signs, or the end of the phrase.
    """
    row, start, end = spans[:, 0], spans[:, 1], spans[:, 2]
    same = row[1:] == row[:-1]
    zero = torch.zeros_like(row[:1])
    first = torch.cat([~zero.bool(), ~same])
    last = torch.cat([~same, ~zero.bool()])
    middle = (end[:-1] + start[1:]) // 2
    earliest = torch.where(first, 0, torch.minimum(torch.cat([zero, middle]), start))
    latest = torch.where(last, lengths[row], torch.maximum(torch.cat([middle, zero]), end))
    out = spans.clone()
    out[:, 1] = (start - share[:, 0] * (start - earliest)).long()
    out[:, 2] = (end + share[:, 1] * (latest - end)).ceil().long()
    return out


def stretch_means(hidden: Tensor, spans: Tensor) -> Tensor:
    """(B, S, dim), spans (n, 4) in frames -> (n, dim): the mean over each sign's steps, one step at least."""
    total = F.pad(hidden.cumsum(1), (0, 0, 1, 0))
    row, start, end = spans[:, 0], spans[:, 1] // TIME_DIVISOR, -(-spans[:, 2] // TIME_DIVISOR)
    end = end.clamp_max(hidden.shape[1])
    start = torch.minimum(start, end - 1)
    return (total[row, end] - total[row, start]) / (end - start)[:, None]


def step_labels(batch: int, steps: int, spans: Tensor) -> Tensor:
    """spans (n, 4) -> int64 (B, S): the sign of each step, 0 where none is."""
    start = (spans[:, 1] + TIME_DIVISOR // 2) // TIME_DIVISOR
    end = torch.maximum((spans[:, 2] + TIME_DIVISOR // 2) // TIME_DIVISOR, start + 1)
    step = torch.arange(steps, device=spans.device)
    inside = (step >= start[:, None]) & (step < end[:, None])
    labels = torch.zeros(batch, steps, dtype=torch.int64, device=spans.device)
    return labels.index_reduce_(0, spans[:, 0], inside * spans[:, 3:], "amax")


def hidden_glosses(batch: IndexBatch, width: int, share: float, generator: torch.Generator | None = None) -> Tensor:
    """bool (B, width): which columns a phrase is read without; never the blank nor its own signs.

    A phrase that is read with fewer glosses (`share` of them) is read with 2 to 50 % of them.
    """
    whole = len(batch.lengths) * batch.parts

    def uniform(columns: int) -> Tensor:
        return drawn_for(batch.rows, whole, columns, generator)

    kept = 0.02 * 25.0 ** uniform(1)
    hidden = (uniform(width) > kept) & (uniform(1) < share)
    hidden[:, 0] = False
    hidden[batch.spans[:, 0], batch.spans[:, 3]] = False
    return hidden


def drawn_for(numbers: Tensor, whole: int, columns: int, generator: torch.Generator | None) -> Tensor:
    """(n, columns) uniform: rows `numbers` of what is drawn for a whole batch, alike for any number of processes."""
    return torch.rand(whole, columns, device=numbers.device, generator=generator)[numbers]


def masked(out: Output, hidden: Tensor, rows: Tensor) -> Output:
    """`out` without the columns (B, 1 + labels) that are hidden; rows: (n,) the row of each stretch."""
    return Output(
        out.logits.masked_fill(hidden[:, None], _NEVER),
        out.conv_logits.masked_fill(hidden[:, None], _NEVER),
        out.pooled.masked_fill(hidden[rows], _NEVER),
    )


def smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with label smoothing over the columns that are not masked: (n, V), (n,) -> ()."""
    log_probs = F.log_softmax(logits, dim=-1)
    kept = logits > _NEVER / 2
    even = (log_probs * kept).sum(-1) / kept.sum(-1)
    right = log_probs.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * right + smoothing * even).mean()


@torch.no_grad()
def taught(teachers: Sequence[SignModel], features: Tensor, spans: Tensor, hidden: Tensor | None) -> Tensor:
    """What the teachers say of each sign's stretch, on the mean: (n, labels) probabilities.

    CTC's peaks lie elsewhere in every network; means over a stretch can be compared.
    """
    total: Tensor | float = 0.0
    for teacher in teachers:
        short, _ = teacher.encode_frames(features, None)
        pooled = mean_logits(teacher.classifier, teacher.sequence(short, None).float(), spans).float()
        if hidden is not None:
            pooled = pooled.masked_fill(hidden[spans[:, 0]], _NEVER)
        total = total + F.softmax(pooled[:, 1:], dim=-1)
    assert isinstance(total, Tensor)
    return total / len(teachers)


def loss(
    net: nn.Module,
    features: Tensor,
    batch: IndexBatch,
    weights: Objective,
    amp: torch.dtype,
    teachers: Sequence[SignModel] = (),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its parts (detached). The network computes in `amp`, losses in float32.

    net: `Forward`, or what wraps it. For a share of a batch everything is divided by the mean number of phrases, signs
    or steps of a share, so that the mean of all shares' losses and gradients is that of the whole batch. generator: for
    what is drawn, at the same point on all processes.
    """
    hidden = None
    spans = batch.spans
    if weights.extend and len(batch.all_spans):
        share, chosen = (drawn_for(batch.places, len(batch.all_spans), columns, generator) for columns in (2, 1))
        lengths = batch.lengths.to(spans.device, non_blocking=True)
        if len(spans):
            spans = extended(spans, lengths, share * (chosen < weights.extend))
    with torch.autocast(features.device.type, dtype=amp, enabled=amp != torch.float32):
        out = net(features, spans)
        if weights.masked:
            hidden = hidden_glosses(batch, out.logits.shape[-1], weights.masked, generator)
            out = masked(out, hidden, batch.spans[:, 0])
        target = taught(teachers, features, spans, hidden) if teachers and len(batch.spans) else None
    steps = -(-batch.lengths // TIME_DIVISOR)
    main = ctc(out.logits, steps, batch.targets, batch.target_lengths)
    auxiliary = ctc(out.conv_logits, steps, batch.targets, batch.target_lengths)
    total = main + weights.auxiliary * auxiliary
    parts = {"ctc": main.detach(), "aux": auxiliary.detach()}
    for name, computed in (("stretch", True), ("distil", teachers), ("right", True), ("inside", weights.inside)):
        if computed:  # a share without signs has the same parts as the others
            parts[name] = torch.zeros_like(parts["ctc"])
    if len(batch.spans):
        labels = batch.spans[:, 3]
        # Means over the signs of this share, weighed by how many these are.
        signs = len(batch.spans) * batch.parts / len(batch.all_spans)
        pooled = out.pooled.float()[:, 1:]
        stretch = signs * smoothed(pooled, labels - 1, weights.smoothing)
        parts["stretch"] = stretch.detach()
        if target is not None:
            log_probs = F.log_softmax(pooled, dim=-1)
            distil = -signs * (target.float() * log_probs).sum(-1).mean()
            parts["distil"] = distil.detach()
            stretch = (1 - weights.distil) * stretch + weights.distil * distil
        parts["right"] = signs * (pooled.argmax(-1) == labels - 1).float().mean()
        total = total + weights.stretch * stretch
    if weights.inside and len(spans):
        labels = step_labels(len(features), out.logits.shape[1], batch.spans)
        known = step_labels(len(features) * batch.parts, out.logits.shape[1], batch.all_spans).sign().sum()
        inside = F.cross_entropy(
            out.logits[..., 1:].float().flatten(0, 1), labels.flatten() - 1, ignore_index=-1, reduction="sum"
        )
        inside = inside * batch.parts / known.clamp_min(1)
        parts["inside"] = inside.detach()
        total = total + weights.inside * inside
    if weights.framewise:
        labels = step_labels(len(features), out.logits.shape[1], batch.spans)
        framewise = F.cross_entropy(out.logits.flatten(0, 1), labels.flatten())
        parts["framewise"] = framewise.detach()
        total = total + weights.framewise * framewise
    return total, parts
