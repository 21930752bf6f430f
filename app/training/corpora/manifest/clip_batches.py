"""Whole clips of a manifest as network batches: each once an epoch, those of like length together, disturbed anew.

Batch number `i` depends on the seed and `i` alone, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from app.pipeline.keypoints import MIRROR
from app.pipeline.module1_preprocessing.crops import channels
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import interpolate
from app.training.batches import GROUP, Batch, collate, round_up
from app.training.corpora.manifest.clips import Clip, pictures_of, too_long_for_ctc
from app.training.corpora.signs.clips import to_body
from app.training.corpora.signs.phrases import PhraseConfig, disturb, to_picture

#: A clip is played at most so much faster or slower.
MAX_STRETCH = 2.0
#: How the crops are disturbed: log-sigma of zoom, sigma of shift in crop sides, log-sigma of contrast, of brightness.
_ZOOM, _SHIFT, _CONTRAST, _BRIGHTNESS = 0.07, 0.04, 0.15, 12.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a clip is played in a batch. frames: how many come out; rng: of everything else."""

    clip: int
    frames: int
    rng: Generator


class ClipBatches(Dataset[Batch]):
    """`batches` batches of `batch_size` clips; of each, the rows rank, rank + world, ... as the trainer wants them.

    Every epoch has each clip once; where the last batch of an epoch is not full, its rest is drawn from the other
    clips. config: how clips are disturbed (mirror, rotation, scale, shift, noise, lost hands and frames, speed by
    `phrase_speed`); what composes phrases is not used.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[list[int]],
        config: PhraseConfig,
        batch_size: int,
        batches: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """labels: ids of each clip's glosses; every clip can hold its labels (see `too_long_for_ctc`)."""
        self.clips, self.labels, self.config = clips, labels, config
        self.batch_size, self.batches, self.seed, self.rank, self.world = batch_size, batches, seed, rank, world
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
        longest = round_up(max(plan.frames for plan in plans))
        mine = [self._play(plan) for plan in plans[self.rank :: self.world]]
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
        stretch = np.clip(np.exp(rng.normal(0, self.config.phrase_speed)), 1 / MAX_STRETCH, MAX_STRETCH)
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
        # Drawn here and not in `disturb`, because the pictures have to be mirrored with the landmarks.
        mirror = bool(rng.random() < self.config.mirror)
        if mirror:
            points = points[:, MIRROR] * np.array([-1, 1, 1], np.float32)
        features = normalise(to_picture(disturb(points, rng, replace(self.config, mirror=0.0))), 1.0)
        if clip.crops is None:
            return features, self.labels[plan.clip], None
        crops = pictures_of(clip, np.rint(positions).astype(np.int64))
        return features, self.labels[plan.clip], channels(disturb_pictures(mirrored(crops) if mirror else crops, rng))


def mirrored(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crops (T, views, S, S, 3) of the signer seen in a mirror: the body turned, the hands changed over.

    Both hands are stored looking like right ones, so a hand's picture stays as it is when it becomes the other.
    """
    body = crops[:, :1, :, ::-1]
    return np.concatenate([body, crops[:, 2:3], crops[:, 1:2]], axis=1) if crops.shape[1] == 3 else body


def disturb_pictures(crops: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Another camera: zoom and shift (one for the clip, another for each view), contrast and brightness.

    uint8 (T, views, S, S, 3) -> the same shape; the edge is repeated outside.
    """
    size = crops.shape[2]
    contrast, brightness = float(np.exp(rng.normal(0, _CONTRAST))), float(rng.normal(0, _BRIGHTNESS))
    table = np.clip((np.arange(256) - 128) * contrast + 128 + brightness, 0, 255).astype(np.uint8)
    out = np.empty_like(crops)
    for view in range(crops.shape[1]):
        zoom = float(np.exp(rng.normal(0, _ZOOM)))
        x, y = ((1 - zoom) * size / 2 + rng.normal(0, _SHIFT, 2) * size).tolist()
        matrix = np.array([[zoom, 0, x], [0, zoom, y]])
        for frame in range(len(crops)):
            out[frame, view] = cv2.warpAffine(
                np.ascontiguousarray(crops[frame, view]), matrix, (size, size), borderMode=cv2.BORDER_REPLICATE
            )
    return table[out]


def stacked(pictures: Sequence[NDArray[np.uint8]], lengths: Sequence[int], frames: int) -> torch.Tensor:
    """Clips (T, C, S, S) side by side: uint8 (B, frames, C, S, S), each held on its last frame up to its length."""
    out = torch.zeros(len(pictures), frames, *pictures[0].shape[1:], dtype=torch.uint8)
    for place, clip, length in zip(out, pictures, lengths, strict=True):
        place[: len(clip)] = torch.from_numpy(clip)
        place[len(clip) : length] = place[len(clip) - 1]
    return out
