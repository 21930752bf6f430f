"""Several processes as one: who this process is, sums and joined answers over all of them.

Collectives run on the CPU (Gloo) even where gradients go through NCCL: they are small, and a flag must not wait for
the GPU's queue.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from app.pipeline.recogniser import GlossSegment
from app.pipeline.wer import ErrorCounts

T = TypeVar("T")


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """Elementwise sum over all ranks, exact for integers under 2**53; the values themselves with one process."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total, group=_cpu_group())
    return total.tolist()


def sum_counts(counts: ErrorCounts) -> ErrorCounts:
    """Errors of all ranks together: their WER is that of one process which decoded everything."""
    edits = sum_over_ranks([counts.substitutions, counts.deletions, counts.insertions, counts.hits])
    return ErrorCounts(*map(int, edits))


@functools.cache
def _cpu_group() -> dist.ProcessGroup:
    """The Gloo group over all ranks; the default one where it is Gloo."""
    group = dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
    assert isinstance(group, dist.ProcessGroup)  # the others stand for "not a member"
    return group


def shared_answers(
    answer: Callable[[Sequence[T]], list[tuple[GlossSegment, ...]]],
    examples: Sequence[T],
    vocabulary: Sequence[str],
    rank: int,
    world: int,
) -> list[tuple[GlossSegment, ...]]:
    """`answer` to all examples, each rank answering every `world`-th; all ranks return everything, in order."""
    mine = answer(examples[rank::world])
    if world == 1:
        return mine
    label = {gloss: i for i, gloss in enumerate(vocabulary, 1)}
    width = torch.tensor(max((len(a) for a in mine), default=0))
    dist.all_reduce(width, dist.ReduceOp.MAX, group=_cpu_group())
    # Rows of the other ranks are zero here, and 0 is no label, so the sum holds everybody's rows.
    rows = torch.zeros(len(examples), int(width), 4, dtype=torch.float64)
    for i, segments in enumerate(mine):
        for k, s in enumerate(segments):
            rows[rank + i * world, k] = torch.tensor([label[s.gloss], s.start_s, s.end_s, s.confidence])
    dist.all_reduce(rows, group=_cpu_group())
    return [tuple(GlossSegment(vocabulary[int(r[0]) - 1], *r[1:]) for r in row if r[0]) for row in rows.tolist()]
