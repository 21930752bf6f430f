"""The interface between a corpus and the trainer, implemented by every corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig
from app.pipeline.module3_sequence.model import SignModel
from app.training.batches import Batch
from app.training.config import OptimConfig
from app.training.loop.distributed import Ranks


def spread(values: Iterable[int]) -> dict[str, int]:
    """Least, median and most, as reports give them; {} of nothing."""
    ranked = sorted(values)
    return {"least": ranked[0], "median": ranked[len(ranked) // 2], "most": ranked[-1]} if ranked else {}


class Source(Protocol):
    """A corpus as the trainer sees it: batches of training clips, and figures on its dev split."""

    settings: ClassVar[type[Any]]
    """Dataclass of the corpus' own settings; its fields are sections of the YAML file beside those of `TrainConfig`."""

    checkpoint_type: ClassVar[type[CheckpointConfig]]
    """Config of its checkpoints, which names the network."""

    vocabulary: tuple[str, ...]
    """Gloss of label id 1, 2, ..."""

    model: dict[str, Any]
    """Settings that the corpus imposes on the model."""

    checkpoint: dict[str, Any]
    """Fields of `checkpoint_type` that the corpus decides, such as {"sign_language": "ase"}."""

    def epoch_steps(self, batch_size: int) -> int:
        """Optimiser steps of one pass over the training clips, >= 1."""

    def batches(self, optim: OptimConfig, ranks: Ranks) -> Dataset[Batch]:
        """`optim.steps` batches, this rank's share of each.

        The global batch `i` has `optim.batch_size` clips and depends on the seed and `i` alone; each rank gets its
        share of the rows, padded to the longest clip of the whole batch, so that several processes compute what one
        would. `optim.batch_size` is a multiple of `ranks.world`.
        """

    def evaluate(self, model: SignModel, ranks: Ranks) -> dict[str, Any]:
        """Figures on the dev split, the same on every rank; empty without a dev split.

        "wer" (0..1, above with many insertions), "substitutions", "deletions", "insertions" and whatever else is worth
        a log line. Every rank decodes its share; what is counted is summed over ranks
        (`app.training.loop.distributed.sum_counts`).
        """

    def report(self) -> dict[str, Any]:
        """What goes into data_report.json; {"corpus": name, "clips": {"train": n, "dev": n}, ...} at least."""
