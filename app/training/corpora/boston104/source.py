"""BOSTON-104 for the trainer: spliced sentences as batches, a part of the training sentences as dev."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.random import Generator
from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig
from app.pipeline.module3_sequence.decoders import GreedyDecoder
from app.pipeline.module3_sequence.losses import UNKNOWN, feasible
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.module3_sequence.steps import label_ids, steps_in
from app.training.batches import Batch, DrawnBatches, padded_labels
from app.training.config import OptimConfig, TrainConfig
from app.training.corpora.boston104.checkpoint import TracksCheckpoint
from app.training.corpora.boston104.features import TRACK_FEATURES, track_features
from app.training.corpora.boston104.network import DIVISOR
from app.training.corpora.boston104.recogniser import track_lattices
from app.training.corpora.boston104.segmental import SegmentDecoder, SignLengths
from app.training.corpora.boston104.sentences import Sentence, hold_out, load_boston104
from app.training.corpora.boston104.splicing import BostonConfig, Sample, Splicer
from app.training.evaluation.wer import ErrorCounts, word_errors
from app.training.loop.distributed import ALONE, Ranks, sum_counts
from app.training.source import spread


def language_model(sentences: Sequence[Sentence], vocabulary: Sequence[str], order: int) -> NgramModel:
    """Counts of the sentences' glosses."""
    label = label_ids(vocabulary)
    return NgramModel.fit([[label[g] for g in s.glosses] for s in sentences], vocabulary, order)


def sign_lengths(sentences: Sequence[Sentence], vocabulary: Sequence[str]) -> SignLengths:
    """How long signs last in lattice steps, and what share of the steps each has."""
    label = label_ids(vocabulary)
    signs = [(label[s.gloss], (s.end - s.start) / DIVISOR) for sentence in sentences for s in sentence.segments]
    return SignLengths.fit([s.frame_labels(label) for s in sentences], signs, len(vocabulary) + 1)


@dataclass(frozen=True)
class BostonSections:
    """Sections of a config that only this corpus reads."""

    boston104: BostonConfig = field(default_factory=BostonConfig)


class BostonSource:
    """The corpus as the trainer sees it."""

    settings: ClassVar[type[Any]] = BostonSections
    checkpoint_type: ClassVar[type[CheckpointConfig]] = TracksCheckpoint

    def __init__(self, sentences: Sequence[Sentence], config: BostonConfig) -> None:
        self.config = config
        self.train, self.dev = hold_out(sentences, config.held_out) if config.held_out >= 0 else (list(sentences), [])
        self.vocabulary = tuple(sorted({g for s in sentences for g in s.glosses}))
        self.model: dict[str, Any] = {}
        self.checkpoint: dict[str, Any] = {"sign_language": "ase"}

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> BostonSource:
        """Raises CorpusError where the folder is not as it should be."""
        return cls(load_boston104(folder, "train"), config.own(BostonSections).boston104)

    def epoch_steps(self, batch_size: int) -> int:
        return max(1, len(self.train) // batch_size)

    def batches(self, optim: OptimConfig, ranks: Ranks) -> Dataset[Batch]:
        label = label_ids(self.vocabulary)
        splicer = Splicer(self.train, label, self.config.splice)
        return SpliceBatches(splicer, optim.batch_size, optim.steps, optim.seed, ranks)

    def evaluate(self, model: SignModel, ranks: Ranks) -> dict[str, Any]:
        """WER of the held-out sentences as signs with lengths and a language model, and greedy; empty without any."""
        if not self.dev:
            return {}
        lm = language_model(self.train, self.vocabulary, self.config.lm_order)
        search = SegmentDecoder(sign_lengths(self.train, self.vocabulary), self.config.segments, lm)
        greedy = GreedyDecoder()
        segments, plain = ErrorCounts(), ErrorCounts()
        mine = ranks.share(self.dev)
        device = str(next(model.parameters()).device)
        for sentence, lattice in zip(mine, track_lattices(model, [s.tracks for s in mine], device), strict=True):
            greedy.reset()
            greedy.feed(lattice)
            plain += word_errors(sentence.glosses, [self.vocabulary[k - 1] for k in greedy.best().labels])
            found = search.decode(lattice).labels
            segments += word_errors(sentence.glosses, [self.vocabulary[k - 1] for k in found])
        segments, plain = sum_counts(segments), sum_counts(plain)
        return {
            "wer": segments.wer,
            "substitutions": segments.substitutions,
            "deletions": segments.deletions,
            "insertions": segments.insertions,
            "greedy_wer": plain.wer,
        }

    def report(self) -> dict[str, Any]:
        splits = {"train": self.train, "dev": self.dev}
        return {
            "corpus": "boston104",
            "held_out": self.config.held_out,
            "clips": {name: len(sentences) for name, sentences in splits.items()},
            "signers": {name: len({s.speaker for s in sentences}) for name, sentences in splits.items()},
            "glosses": dict(sorted(Counter(g for s in self.train for g in s.glosses).items())),
            "frames": spread(len(s.tracks) for s in self.train),
            "left_out": [],
        }


class SpliceBatches(DrawnBatches[Sample]):
    """Spliced sentences."""

    def __init__(self, splicer: Splicer, batch_size: int, batches: int, seed: int, ranks: Ranks = ALONE) -> None:
        super().__init__(batch_size, batches, seed, ranks)
        self.splicer = splicer

    def draw(self, rng: Generator) -> Sample:
        while True:
            sample = self.splicer.draw(rng)
            if feasible(steps_in(len(sample.tracks), DIVISOR), sample.labels):
                return sample

    def frames(self, drawn: Sample) -> int:
        return len(drawn.tracks)

    def collate(self, mine: list[Sample], longest: int) -> Batch:
        return collate_tracks(mine, longest)


def collate_tracks(samples: Sequence[Sample], frames: int = 0) -> Batch:
    """Samples side by side, each with its last frame repeated up to the longest, or to `frames` if that is more.

    The label of a lattice step is that of the second of its two frames.
    """
    steps = [steps_in(len(s.tracks), DIVISOR) for s in samples]
    width = max(steps_in(frames, DIVISOR), *steps)
    features = np.empty((len(samples), width * DIVISOR, TRACK_FEATURES), np.float32)
    frame_labels = np.full((len(samples), width), UNKNOWN, np.int64)
    for i, (sample, count) in enumerate(zip(samples, steps, strict=True)):
        made = track_features(sample.tracks)
        features[i, : len(made)] = made
        features[i, len(made) :] = made[-1]
        last = np.minimum(np.arange(count) * DIVISOR + DIVISOR - 1, len(made) - 1)
        frame_labels[i, :count] = sample.frames[last]
    return Batch(
        torch.from_numpy(features),
        torch.tensor([count * DIVISOR for count in steps]),
        *padded_labels([s.labels for s in samples]),
        frame_labels=torch.from_numpy(frame_labels),
    )
