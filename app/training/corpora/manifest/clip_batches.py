"""Whole clips of a manifest as network batches: each once an epoch, those of like length together, augmented each time.

Batch number `i` depends on the seed and `i` alone, so a resumed run sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from app.pipeline.module1_preprocessing.crops import to_channels_first
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import interpolate
from app.pipeline.module3_sequence.steps import whole_steps
from app.training.augment import (
    AugmentConfig,
    augment,
    augment_crops,
    mirrored,
    mirrored_crops,
    to_body,
    to_image_coords,
)
from app.training.batches import GROUP, Batch, collate
from app.training.corpora.manifest.clips import Clip, pictures_of, too_long_for_ctc
from app.training.loop.distributed import ALONE, Ranks

#: A clip is played at most so much faster or slower.
MAX_STRETCH = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a clip is played in a batch."""

    clip: int
    """Its number."""
    frames: int
    """How many come out."""
    rng: Generator
    """Draws everything else."""


class ClipBatches(Dataset[Batch]):
    """`batches` batches of `batch_size` clips; of each, the share of one of the processes that train together.

    Every epoch has each clip once; where the last batch of an epoch is not full, its rest is drawn from the other
    clips.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[list[int]],
        config: AugmentConfig,
        batch_size: int,
        batches: int,
        seed: int,
        ranks: Ranks = ALONE,
    ) -> None:
        """labels: ids of each clip's glosses; every clip can hold its labels (see `too_long_for_ctc`)."""
        self.clips, self.labels, self.config = clips, labels, config
        self.batch_size, self.batches, self.seed, self.ranks = batch_size, batches, seed, ranks
        self.epoch_steps = math.ceil(len(clips) / batch_size)
        self._epoch, self._order = -1, np.zeros((0, batch_size), np.int64)

    def __len__(self) -> int:
        return self.batches

    def rows(self, index: int) -> list[int]:
        """The clips of the whole batch `index`, by number."""
        epoch, place = divmod(index, self.epoch_steps)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(epoch)
        return [int(i) for i in self._order[place]]

    def __getitem__(self, index: int) -> Batch:
        plans = [self._plan(clip, index, row) for row, clip in enumerate(self.rows(index))]
        longest = whole_steps(max(plan.frames for plan in plans))
        mine = [self._play(plan) for plan in self.ranks.share(plans)]
        batch = collate([(features, labels) for features, labels, _ in mine], frames=longest)
        if mine[0][2] is not None:
            batch.pictures = stacked([p for _, _, p in mine if p is not None], batch.lengths.tolist(), longest)
        return batch

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """(epoch_steps, batch_size) clips: sorted by length in groups of batches, the batches in random order."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.clips))
        lacking = self.epoch_steps * self.batch_size - len(order)
        order = np.concatenate([order, np.resize(order, lacking)])
        size = GROUP * self.batch_size
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        lengths = np.array([len(clip) for clip in self.clips])
        rows = np.concatenate([g[np.argsort(lengths[g], kind="stable")] for g in groups])
        return rng.permutation(rows.reshape(self.epoch_steps, self.batch_size))

    def _plan(self, clip: int, index: int, row: int) -> Plan:
        rng = np.random.default_rng([self.seed, 1, index, row])
        frames = len(self.clips[clip])
        stretch = np.clip(np.exp(rng.normal(0, self.config.speed)), 1 / MAX_STRETCH, MAX_STRETCH)
        played = max(1, round(frames * float(stretch)))
        if too_long_for_ctc(played, self.labels[clip]):
            played = frames
        return Plan(clip, played, rng)

    def _play(self, plan: Plan) -> tuple[NDArray[np.float32], list[int], NDArray[np.uint8] | None]:
        """Features (T, F), labels and crops (T, 3 * views, S, S) of a clip as planned."""
        clip, rng = self.clips[plan.clip], plan.rng
        body = to_body(clip.points, clip.aspect)
        assert body is not None  # clips without a body were left out
        positions = np.linspace(0, len(clip) - 1, plan.frames)
        points = interpolate(body, positions)
        # Drawn here and not in `augment`, because the crops have to be mirrored with the landmarks.
        mirror = bool(rng.random() < self.config.mirror)
        if mirror:
            points = mirrored(points)
        features = normalise(to_image_coords(augment(points, rng, replace(self.config, mirror=0.0))), 1.0)
        if clip.crops is None:
            return features, self.labels[plan.clip], None
        crops = pictures_of(clip, np.rint(positions).astype(np.int64))
        return (
            features,
            self.labels[plan.clip],
            to_channels_first(augment_crops(mirrored_crops(crops) if mirror else crops, rng)),
        )


def stacked(pictures: Sequence[NDArray[np.uint8]], lengths: Sequence[int], frames: int) -> torch.Tensor:
    """Clips (T, C, S, S) side by side: uint8 (B, frames, C, S, S), each held on its last frame up to its length."""
    out = torch.zeros(len(pictures), frames, *pictures[0].shape[1:], dtype=torch.uint8)
    for place, clip, length in zip(out, pictures, lengths, strict=True):
        place[: len(clip)] = torch.from_numpy(clip)
        place[len(clip) : length] = place[len(clip) - 1]
    return out
