"""Means of the loss and its parts between two log lines."""

from __future__ import annotations

import torch
from torch import Tensor

from app.training.loop.distributed import Ranks, sum_over_ranks


class LossMeter:
    """Adds up loss parts on the device, where no step has to wait for them."""

    def __init__(self) -> None:
        self.steps = 0
        """Steps since the last mean."""
        self._sums: dict[str, Tensor] = {}

    def add(self, parts: dict[str, Tensor], accumulate: int) -> None:
        """The parts of one of the `accumulate` shares of a step."""
        for name, value in parts.items():
            share = value.double() / accumulate
            self._sums[name] = self._sums[name] + share if name in self._sums else share

    def take(self, ranks: Ranks) -> dict[str, float]:
        """Means since the last call, over all ranks; called on all of them at once."""
        means = {name: total / self.steps for name, total in self.totals(ranks).items()}
        self._sums, self.steps = {}, 0
        return means

    def totals(self, ranks: Ranks) -> dict[str, float]:
        """Sums over the steps so far, as means over all ranks; called on all of them at once."""
        names = sorted(self._sums)
        sums = sum_over_ranks([float(self._sums[n]) for n in names])
        return {name: total / ranks.world for name, total in zip(names, sums, strict=True)}

    def restore(self, totals: dict[str, float], steps: int, device: torch.device) -> None:
        """Go on from what `totals` gave."""
        self._sums = {k: torch.tensor(v, dtype=torch.float64, device=device) for k, v in totals.items()}
        self.steps = steps
