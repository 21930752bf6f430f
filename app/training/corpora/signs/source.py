"""The signs corpus as the trainer sees it: composed phrases as batches, isolated clips and phrases of dev signers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.batches import Batch
from app.training.config import OptimConfig, TrainConfig
from app.training.corpora.signs.batches import PhraseBatches
from app.training.corpora.signs.clips import NONE, SignClip, load_signs, signs_of
from app.training.corpora.signs.evaluation import Evaluation
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, SignerBook
from app.training.evaluation.reading import Example, read
from app.training.loop.distributed import Ranks, shared_answers
from app.training.source import spread


@dataclass(frozen=True)
class SignsConfig:
    """Sections of a config that only this corpus reads."""

    phrases: PhraseConfig = field(default_factory=PhraseConfig)
    dev_phrases: int = 300
    """Phrases composed of dev clips, of each of two kinds, for the dev figures."""


def choose_vocabulary(config: TrainConfig, glosses: set[str]) -> tuple[str, ...]:
    """The signs of the chosen glosses, sorted. Raises ConfigError for a gloss that the corpus does not have."""
    return tuple(sorted({sign for g in config.chosen(glosses) for sign in signs_of(g)}))


class PhraseSource:
    """Isolated clips, trained on as composed phrases."""

    checkpoint_type: ClassVar[type[CheckpointConfig]] = CheckpointConfig
    settings: ClassVar[type[Any]] = SignsConfig

    def __init__(self, train: list[SignClip], dev: list[SignClip], config: TrainConfig) -> None:
        self.train, self.dev, self.config = train, dev, config
        self.own = config.own(SignsConfig)
        self.vocabulary = choose_vocabulary(config, {c.gloss for c in train})
        self.model: dict[str, Any] = {}
        self.checkpoint: dict[str, Any] = {"sign_language": "ase"}
        self._evaluation: Evaluation | None = None

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> PhraseSource:
        return cls(load_signs(folder, "train"), load_signs(folder, "dev"), config)

    def epoch_steps(self, batch_size: int) -> int:
        return max(1, len(self.train) // batch_size)

    def batches(self, optim: OptimConfig, ranks: Ranks) -> Dataset[Batch]:
        augment = self.config.augment
        book = SignerBook.of(self.train, set(self.vocabulary))
        sampler = PhraseSampler(book, self.own.phrases, augment.speed)
        return PhraseBatches(sampler, self.vocabulary, optim.batch_size, optim.steps, optim.seed, augment, ranks)

    def evaluate(self, model: SignModel, ranks: Ranks) -> dict[str, Any]:
        """Greedy decoding, no thresholds; WER is that of composed phrases over all glosses, or of the isolated clips
        where no dev signer knows enough glosses for a phrase."""
        if self._evaluation is None:
            self._evaluation = Evaluation(self.dev, self.vocabulary, self.own.dev_phrases)
        evaluation = self._evaluation
        config = CheckpointConfig("run", "ase", self.vocabulary, model.config, decoder=DecoderConfig(beam=1))
        recogniser = Recogniser(config, model, str(next(model.parameters()).device))

        def reader(recogniser: Recogniser, examples: Sequence[Example]) -> list[tuple[GlossSegment, ...]]:
            return shared_answers(lambda mine: read(recogniser, mine), examples, self.vocabulary, ranks)

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
