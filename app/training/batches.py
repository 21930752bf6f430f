"""Clips padded to network batches, and batches of randomly drawn clips.

Batch number `i` depends on the seed and `i` alone, so a resumed run sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from app.pipeline.recogniser import padded_frames
from app.training.loop.distributed import ALONE, Ranks

#: What is drawn for one row of a batch.
Drawn = TypeVar("Drawn")


@dataclass
class Batch:
    """Clips side by side, B of them."""

    features: Tensor
    """(B, T, F) float32, padded by repeating each clip's last frame."""
    lengths: Tensor
    """(B,) frames of each clip, multiples of the lattice step."""
    targets: Tensor
    """(B, L) label ids, 0 past `target_lengths`."""
    target_lengths: Tensor
    """(B,)"""
    pictures: Tensor | None = None
    """(B, T, 3, H, W) uint8 where the corpus has crops."""
    frame_labels: Tensor | None = None
    """(B, T / 4) what is signed at each lattice step: a label id, 0 for the blank, -100 where it is not known."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor it has changed."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(t) for name, t in tensors.items() if t is not None})

    def to(self, device: torch.device) -> Batch:
        return self.map(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Called by the data loader so that copies to a GPU are asynchronous."""
        return self.map(lambda t: t.pin_memory())

    def split(self, parts: int) -> list[Batch]:
        """`parts` batches of consecutive rows; the number of clips is a multiple of `parts`."""
        size = len(self.lengths) // parts
        return [self.map(lambda t, k=k: t[k * size : (k + 1) * size]) for k in range(parts)]  # type: ignore[misc]


def collate(items: list[tuple[NDArray[np.float32], list[int]]], frames: int = 0) -> Batch:
    """(features (T, F), labels) pairs -> Batch. A clip whose labels do not fit its lattice must have been left out.

    frames: pad to at least this length, so that the share of one process is padded like the whole batch.
    """
    features, lengths = padded_frames([clip for clip, _ in items], items[0][0].shape[1], frames)
    return Batch(torch.from_numpy(features), torch.tensor(lengths), *padded_labels([labels for _, labels in items]))


def padded_labels(labels: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """`Batch.targets` and `Batch.target_lengths`."""
    targets = torch.zeros(len(labels), max(1, *map(len, labels)), dtype=torch.int64)
    for row, own in zip(targets, labels, strict=True):
        row[: len(own)] = torch.tensor(own)
    return targets, torch.tensor([len(own) for own in labels])


#: Batches drawn together and sorted by length, so that little of a batch is padding (2.4 times less than unsorted).
GROUP = 8


class DrawnBatches(Dataset[Batch], Generic[Drawn]):
    """`batches` batches of `batch_size` clips that are drawn at random; each of several processes gets its share of
    every batch."""

    def __init__(self, batch_size: int, batches: int, seed: int, ranks: Ranks = ALONE) -> None:
        self.batch_size, self.batches, self.seed, self.ranks = batch_size, batches, seed, ranks
        self._group, self._order = -1, np.arange(GROUP)
        self._drawn: list[Drawn] = []

    def draw(self, rng: Generator) -> Drawn:
        """One clip whose labels CTC can emit."""
        raise NotImplementedError

    def frames(self, drawn: Drawn) -> int:
        """How long it is."""
        raise NotImplementedError

    def collate(self, mine: list[Drawn], longest: int) -> Batch:
        """This process's rows side by side. longest: frames of the longest clip of the whole batch."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> Batch:
        group, place = divmod(index, GROUP)
        if group != self._group:
            rng = np.random.default_rng([self.seed, group])
            self._drawn = sorted((self.draw(rng) for _ in range(GROUP * self.batch_size)), key=self.frames)
            self._order, self._group = rng.permutation(GROUP), group
        start = int(self._order[place]) * self.batch_size
        whole = self._drawn[start : start + self.batch_size]
        return self.collate(self.ranks.share(whole), self.frames(whole[-1]))
