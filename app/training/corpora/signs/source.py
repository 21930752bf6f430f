"""The signs corpus as the trainer sees it: composed phrases as batches, isolated clips and phrases of dev signers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.losses import feasible
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import label_ids, steps_in, whole_steps
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.augment import AugmentConfig, augment, to_image_coords
from app.training.batches import Batch, DrawnBatches, collate
from app.training.config import OptimConfig, TrainConfig
from app.training.corpora.signs.clips import NONE, SignClip, load_signs, signs_of
from app.training.corpora.signs.evaluation import Evaluation
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, crop_window, signer_book
from app.training.evaluation.reading import Example, read
from app.training.loop.distributed import ALONE, Ranks, shared_answers
from app.training.source import spread


@dataclass(frozen=True)
class SignsConfig:
    """Sections of a config that only this corpus reads."""

    phrases: PhraseConfig = field(default_factory=PhraseConfig)
    dev_phrases: int = 300
    """Phrases composed of dev clips, of each of two kinds, for the dev figures."""


class PhraseSource:
    """Isolated clips, trained on as composed phrases."""

    checkpoint_type: ClassVar[type[CheckpointConfig]] = CheckpointConfig
    settings: ClassVar[type[Any]] = SignsConfig

    def __init__(self, train: list[SignClip], dev: list[SignClip], config: TrainConfig) -> None:
        """Raises ConfigError for a gloss that the corpus does not have."""
        self.train, self.dev, self.config = train, dev, config
        self.own = config.own(SignsConfig)
        self.vocabulary = tuple(sorted({sign for g in config.chosen({c.gloss for c in train}) for sign in signs_of(g)}))
        self.model: dict[str, Any] = {}
        self.checkpoint: dict[str, Any] = {"sign_language": "ase"}
        self._evaluation: Evaluation | None = None

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> PhraseSource:
        return cls(load_signs(folder, "train"), load_signs(folder, "dev"), config)

    def epoch_steps(self, batch_size: int) -> int:
        return max(1, len(self.train) // batch_size)

    def batches(self, optim: OptimConfig, ranks: Ranks) -> Dataset[Batch]:
        config = self.config.augment
        sampler = PhraseSampler(signer_book(self.train, set(self.vocabulary)), self.own.phrases, config.speed)
        return PhraseBatches(sampler, self.vocabulary, optim.batch_size, optim.steps, optim.seed, config, ranks)

    def evaluate(self, model: SignModel, ranks: Ranks) -> dict[str, Any]:
        """Greedy decoding, no thresholds; WER is that of composed phrases over all glosses, or of the isolated clips
        where no dev signer knows enough glosses for a phrase."""
        if self._evaluation is None:
            self._evaluation = Evaluation(self.dev, self.vocabulary, self.own.dev_phrases)
        evaluation = self._evaluation
        config = CheckpointConfig("run", "ase", self.vocabulary, model.config, decoder=DecoderConfig(beam=1))
        recogniser = Recogniser(config, model, str(next(model.parameters()).device))

        def reader(recogniser: Recogniser, examples: Sequence[Example]) -> list[tuple[GlossSegment, ...]]:
            return shared_answers(lambda mine: read(recogniser, mine), examples, ranks)

        figures = evaluation.figures(recogniser, reader)
        if evaluation.composed["all"]:
            errors = figures["composed"]["all"]
        else:
            flat = [e for examples in evaluation.isolated.values() for e in examples]
            errors = evaluation.errors(recogniser, flat, reader)
        figures = {k: v for k, v in figures.items() if k not in ("gloss_exact", "confused_with")}
        return {**{k: errors[k] for k in ("wer", "substitutions", "deletions", "insertions")}, **figures}

    def report(self) -> dict[str, Any]:
        splits = {"train": self.train, "dev": self.dev}
        left_out = Counter(c.gloss for c in self.train if not set(signs_of(c.gloss)) <= set(self.vocabulary))
        return {
            "corpus": "signs",
            "clips": {name: len(clips) for name, clips in splits.items()},
            "signers": {name: len({c.signer for c in clips}) for name, clips in splits.items()},
            "glosses": dict(sorted(Counter(c.gloss for c in self.train).items())),
            "frames": spread(len(c.points) for c in self.train),
            "left_out": [
                {"gloss": g, "clips": n, "why": "not in this run's glosses"}
                for g, n in sorted(left_out.items())
                if g != NONE
            ],
        }


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
