"""Composed phrases as network batches."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.losses import feasible
from app.pipeline.module3_sequence.steps import label_ids, steps_in, whole_steps
from app.training.augment import AugmentConfig, augment, to_image_coords
from app.training.batches import Batch, DrawnBatches, collate
from app.training.corpora.signs.phrases import PhraseSampler, crop_window
from app.training.loop.distributed import ALONE, Ranks


class PhraseBatches(DrawnBatches[tuple[NDArray[np.float32], list[int]]]):
    """Composed phrases. `vocabulary`: gloss of label id 1, 2, ..."""

    def __init__(
        self,
        sampler: PhraseSampler,
        vocabulary: tuple[str, ...],
        batch_size: int,
        batches: int,
        seed: int,
        config: AugmentConfig,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(batch_size, batches, seed, ranks)
        self.sampler, self.config = sampler, config
        self.label = label_ids(vocabulary)

    def draw(self, rng: Generator) -> tuple[NDArray[np.float32], list[int]]:
        """One phrase as (points (T, 75, 3) in body coordinates, labels), drawn again until CTC can emit its labels."""
        cfg = self.sampler.config
        while True:
            phrase = self.sampler.draw(rng)
            if cfg.window_crop and rng.random() < cfg.window_crop:
                phrase = crop_window(phrase, rng, cfg)
            labels = [self.label[g] for g in phrase.glosses]
            if feasible(steps_in(len(phrase.points)), labels):
                return augment(phrase.points, rng, self.config), labels

    def frames(self, drawn: tuple[NDArray[np.float32], list[int]]) -> int:
        return len(drawn[0])

    def collate(self, mine: list[tuple[NDArray[np.float32], list[int]]], longest: int) -> Batch:
        items = [(normalise(to_image_coords(points), 1.0), labels) for points, labels in mine]
        return collate(items, frames=whole_steps(longest))
