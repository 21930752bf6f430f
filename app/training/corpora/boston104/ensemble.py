"""Several networks of one make as one: their lattices averaged."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.pipeline.module3_sequence.model import Lattice, ModelConfig, SignModel
from app.training.corpora.boston104.network import TracksModel


class SignEnsemble(nn.Module):
    """Features (B, T, features), lengths (B,) -> `Lattice` whose logits are the mean of the members' log-probabilities
    (B, S, V), so that what all find likely wins (a product of experts, up to scale).

    Averaging steps makes sense where the members place signs alike: that is so for networks taught where each sign
    begins and ends, not for CTC alone, whose spikes fall where each network likes.
    """

    def __init__(self, members: Iterable[SignModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not self.members:
            raise ValueError("an ensemble needs at least one network")

    @classmethod
    def of(cls, config: ModelConfig, count: int) -> SignEnsemble:
        """`count` fresh networks."""
        return cls(TracksModel(config) for _ in range(count))

    def forward(self, features: Tensor, lengths: Tensor) -> Lattice:
        lattices = [member(features, lengths) for member in self.members]

        def mean(name: str) -> Tensor:
            rows = [F.log_softmax(getattr(lattice, name).float(), dim=-1) for lattice in lattices]
            return torch.stack(rows).mean(dim=0)

        return Lattice(mean("logits"), mean("conv_logits"), lattices[0].steps, lattices[0].gates)
