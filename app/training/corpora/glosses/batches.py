"""Phrases side by side as tensors of indices. Group number `i` depends on the seed and `i` alone.

Each of several processes draws the whole batch and keeps its share of the phrases: drawing is cheap, and the share
then is as long, and its means can be weighed, as one process would have them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from app.training.corpora.glosses.compose import PARTS, Composer, Phrase

#: Batches that are drawn together and sorted by length, so that little of a batch is padding.
GROUP = 4
#: Lengths are rounded up to this many frames: a multiple of every lattice step.
ROUND = 8


@dataclass
class IndexBatch:
    """A batch of phrases, or one process' share of it."""

    first: Tensor
    """int32 (B, T, 3) frames of the bank."""
    second: Tensor
    """int32 (B, T, 3) frames that are mixed in."""
    weight: Tensor
    """float32 (B, T, 3) share of the second."""
    lengths: Tensor
    """int64 (B,) frames, multiples of 4; the last frame is held to there and beyond."""
    targets: Tensor
    """int64 (B, L) labels, 0 past `target_lengths`."""
    target_lengths: Tensor
    """int64 (B,)."""
    spans: Tensor
    """int64 (n, 4): row, start and end in frames, label of each sign."""
    strength: Tensor
    """float32 (B,) how much each is disturbed."""
    rows: Tensor
    """int64 (B,) numbers of these phrases in the whole batch."""
    places: Tensor
    """int64 (n,) numbers of these spans among those of the whole batch."""
    all_spans: Tensor
    """int64 (N, 4) the spans of the whole batch."""
    parts: int = 1
    """Number of equal shares of the whole batch, of which this is one."""

    def share(self, rank: int, parts: int) -> IndexBatch:
        """Every `parts`-th phrase of a whole batch from number `rank` on, padded as the whole is."""
        mine = self.spans[:, 0] % parts == rank
        spans = self.spans[mine]
        spans[:, 0] //= parts
        rows = {f: getattr(self, f)[rank::parts].contiguous() for f in _BY_ROW}
        return IndexBatch(**rows, spans=spans, places=self.places[mine], all_spans=self.all_spans, parts=parts)

    def to(self, device: torch.device) -> IndexBatch:
        """All on the device but lengths, which CTC reads on the CPU, so that nothing waits for the device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self._tensors().items()}
        kept = {"lengths": self.lengths, "target_lengths": self.target_lengths}
        return IndexBatch(**{**moved, **kept}, parts=self.parts)

    def pin_memory(self) -> IndexBatch:
        return IndexBatch(**{k: v.pin_memory() for k, v in self._tensors().items()}, parts=self.parts)

    def _tensors(self) -> dict[str, Tensor]:
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}


#: Fields of a batch with a row for each phrase.
_BY_ROW = ("first", "second", "weight", "lengths", "targets", "target_lengths", "strength", "rows")


def collate(phrases: list[Phrase]) -> IndexBatch:
    """Phrases -> a batch, each padded with its last frame."""
    longest = -(-max(len(p) for p in phrases) // ROUND) * ROUND
    count, width = len(phrases), max(1, *(len(p.spans) for p in phrases))
    first = np.empty((count, longest, PARTS), np.int32)
    second = np.empty_like(first)
    weight = np.empty((count, longest, PARTS), np.float32)
    targets = np.zeros((count, width), np.int64)
    spans = []
    for row, phrase in enumerate(phrases):
        for table, values in ((first, phrase.first), (second, phrase.second), (weight, phrase.weight)):
            table[row, : len(phrase)] = values
            table[row, len(phrase) :] = values[-1]
        targets[row, : len(phrase.spans)] = phrase.labels
        spans += [(row, start, end, label) for label, start, end in phrase.spans]
    where = torch.tensor(spans, dtype=torch.int64).reshape(-1, 4)
    return IndexBatch(
        torch.from_numpy(first),
        torch.from_numpy(second),
        torch.from_numpy(weight),
        torch.tensor([-(-len(p) // 4) * 4 for p in phrases]),
        torch.from_numpy(targets),
        torch.tensor([len(p.spans) for p in phrases]),
        where,
        torch.tensor([p.strength for p in phrases], dtype=torch.float32),
        torch.arange(count),
        torch.arange(len(where)),
        where,
    )


class PhraseGroups(Dataset[list[IndexBatch]]):
    """Item `i` is GROUP batches, or a process' share of each. `batch_size` is a multiple of the number of processes."""

    def __init__(
        self, composer: Composer, batch_size: int, groups: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.composer, self.batch_size, self.groups, self.seed = composer, batch_size, groups, seed
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return self.groups

    def __getitem__(self, index: int) -> list[IndexBatch]:
        rng = np.random.default_rng([self.seed, index])
        drawn = sorted((self.composer.draw(rng) for _ in range(GROUP * self.batch_size)), key=len)
        size = self.batch_size
        whole = (collate(drawn[k * size : (k + 1) * size]) for k in rng.permutation(GROUP).tolist())
        return [batch if self.world == 1 else batch.share(self.rank, self.world) for batch in whole]
