"""Several processes as one: the rank of this process, sums and gathered answers over all of them.

Small collectives run on the CPU (Gloo) even where gradients go through NCCL: a flag must not wait for the GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from app.training.errors import ConfigError
from app.training.evaluation.wer import ErrorCounts

T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, seen from one of them."""

    rank: int
    """This process, 0 .. world - 1."""
    world: int
    """How many there are."""
    device: torch.device
    """Where this process computes."""

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """Every `world`-th of the items, from this process' own rank on."""
        return list(items[self.rank :: self.world])


#: One process by itself, on the CPU.
ALONE = Ranks(0, 1, torch.device("cpu"))


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """This process among those started by torchrun or Ray Train; without either, this process alone.

    device: auto, cpu, cuda or cuda:N; of several processes on one machine each takes its own GPU. NCCL on CUDA, Gloo on
    the CPU. Raises ConfigError for a device that is not there.
    """
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE", "1"))
    where = device_named(device, int(os.environ.get("LOCAL_RANK", "0")) if world > 1 else 0)
    if world == 1:
        yield Ranks(0, 1, where)
        return
    begun_here = not dist.is_initialized()
    if begun_here:
        if where.type == "cuda":
            torch.cuda.set_device(where)
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    if dist.get_backend() != "gloo":
        _cpu_groups.append(dist.new_group(backend="gloo"))  # type: ignore[arg-type]
    try:
        yield Ranks(dist.get_rank(), world, where)
    finally:
        _cpu_groups.clear()
        if begun_here:
            dist.destroy_process_group()


def device_named(name: str, local_rank: int = 0) -> torch.device:
    """auto, cpu, cuda or cuda:N. Raises ConfigError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device {name}: it should be auto, cpu, cuda or cuda:N") from error
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    index = local_rank if device.index is None else device.index
    if index >= count:
        raise ConfigError(f"--device {name}: this process needs GPU {index}, but PyTorch sees {count} here")
    return torch.device("cuda", index)


def averaged_over(ranks: Ranks, net: nn.Module, find_unused: bool = False) -> nn.Module:
    """`net`, whose gradients are from now on the mean of all ranks', and whose weights are the first rank's.

    find_unused: not every weight has a gradient in every step.
    """
    if ranks.world == 1:
        return net
    return DistributedDataParallel(
        net,
        device_ids=[ranks.device.index] if ranks.device.type == "cuda" else None,
        forward_sync_buffers=False,  # the shared normalisation keeps them equal
        find_unused_parameters=find_unused,
    )


#: The Gloo group over all ranks, where the default group is another one.
_cpu_groups: list[dist.ProcessGroup] = []


def _sum(values: Tensor) -> Tensor:
    """The values, summed over all ranks in place; on the CPU."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values, group=_cpu_groups[-1] if _cpu_groups else None)
    return values


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """Elementwise sum over all ranks, exact for integers under 2**53; the values themselves with one process."""
    return _sum(torch.tensor(values, dtype=torch.float64)).tolist()


def sum_counts(counts: ErrorCounts) -> ErrorCounts:
    """Errors of all ranks together: their WER is that of one process which decoded everything."""
    edits = sum_over_ranks([counts.substitutions, counts.deletions, counts.insertions, counts.hits])
    return ErrorCounts(*map(int, edits))


def rows_of_ranks(row: Tensor, ranks: Ranks) -> Tensor:
    """(n,) integers of each rank -> (world, n), on every rank."""
    rows = torch.zeros(ranks.world, *row.shape, dtype=row.dtype)
    rows[ranks.rank] = row
    return _sum(rows)


def shared_answers(answer: Callable[[Sequence[T]], list[A]], examples: Sequence[T], ranks: Ranks) -> list[A]:
    """`answer` to all examples, each rank answering its share; all ranks return everything, in order."""
    own = answer(ranks.share(examples))
    if ranks.world == 1:
        return own
    shares: list[list[A]] = [[]] * ranks.world
    dist.all_gather_object(shares, own, group=_cpu_groups[-1] if _cpu_groups else None)
    return [shares[i % ranks.world][i // ranks.world] for i in range(len(examples))]
