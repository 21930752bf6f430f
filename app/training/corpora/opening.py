"""What the trainer reads: one small interface, and which kind of corpus a folder holds.

A corpus gives batches of training clips and measures a model on its dev split. Kinds are told apart by the header of
the folder's files, so nobody has to name them.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from torch.utils.data import Dataset

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.batches import Batch, PhraseBatches
from app.training.config import OptimConfig, TrainConfig
from app.training.corpora.signs.clips import NONE, Clip, CorpusError, load_signs, signs_of
from app.training.corpora.signs.evaluation import Evaluation, Example, read
from app.training.corpora.signs.phrases import PhraseSampler, SignerBook
from app.training.loop.distributed import shared_answers

Kind = Literal["signs", "manifest", "boston104"]


class Source(Protocol):
    """A corpus as the trainer sees it.

    vocabulary: gloss of label id 1, 2, ...; model: settings that the corpus imposes on the model, e.g. {"features":
    12}; checkpoint: fields of `CheckpointConfig` that the corpus decides, e.g. {"sign_language": "ase"}.
    """

    vocabulary: tuple[str, ...]
    model: dict[str, Any]
    checkpoint: dict[str, Any]

    def epoch_steps(self, batch_size: int) -> int:
        """Optimiser steps of one pass over the training clips, >= 1."""
        ...

    def batches(self, optim: OptimConfig, rank: int, world: int) -> Dataset[Batch]:
        """`optim.steps` batches, this rank's share of each.

        The global batch `i` has `optim.batch_size` clips and depends on the seed and `i` alone; rank `r` gets its rows
        r, r + world, ..., padded to the longest clip of the whole batch, so that several processes compute what one
        would. `optim.batch_size` is a multiple of `world`.
        """
        ...

    def evaluate(self, model: SignModel, rank: int, world: int) -> dict[str, Any]:
        """Figures on the dev split, the same on every rank: "wer" (0..1, above with many insertions),
        "substitutions", "deletions", "insertions" and whatever else is worth a log line. Every rank decodes its share;
        what is counted is summed over ranks (`app.training.loop.distributed.sum_counts`). Empty without a dev split."""
        ...

    def report(self) -> dict[str, Any]:
        """What goes into data_report.json; {"corpus": name, "clips": {"train": n, "dev": n}, ...} at least."""
        ...


def corpus_kind(folder: Path) -> Kind:
    """Which corpus lies in `folder`. Raises CorpusError when it is none of the known ones."""
    if (folder / "hands_condensed.csv").is_file():
        return "boston104"
    table = folder / "clips.csv"
    if not table.is_file():
        raise CorpusError(
            f"no corpus in {folder}: expected clips.csv (a manifest, or the signs corpus) or hands_condensed.csv "
            f"there; pass --data FOLDER"
        )
    with table.open(newline="", encoding="utf-8-sig") as f:
        header = next(csv.reader(f), [])
    if "file" in header:
        return "manifest"
    if "clip" in header:
        return "signs"
    raise CorpusError(
        f"{table} is neither a manifest (columns file,glosses,signer,split,fps) nor the signs corpus (column clip): "
        f"its columns are {', '.join(header) or 'missing'}"
    )


def open_source(folder: Path, config: TrainConfig) -> Source:
    """The corpus in `folder`. Raises CorpusError where it is not as it should be, ConfigError for its settings."""
    match corpus_kind(folder):
        case "signs":
            return PhraseSource.open(folder, config)
        case "manifest":
            from app.training.corpora.manifest.source import ManifestSource

            return ManifestSource.open(folder, config)
        case "boston104":
            from app.training.corpora.boston104.source import BostonSource

            return BostonSource.open(folder, config)


def choose_vocabulary(config: TrainConfig, glosses: set[str]) -> tuple[str, ...]:
    """The signs of the chosen glosses, sorted. Raises ConfigError for a gloss that the corpus does not have."""
    return tuple(sorted({sign for g in config.chosen(glosses) for sign in signs_of(g)}))


class PhraseSource:
    """The signs corpus: isolated clips, trained on as composed phrases."""

    def __init__(self, train: list[Clip], dev: list[Clip], config: TrainConfig) -> None:
        self.train, self.dev, self.config = train, dev, config
        self.vocabulary = choose_vocabulary(config, {c.gloss for c in train})
        self.model: dict[str, Any] = {}
        self.checkpoint: dict[str, Any] = {"sign_language": "ase"}
        self._evaluation: Evaluation | None = None

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> PhraseSource:
        return cls(load_signs(folder, "train"), load_signs(folder, "dev"), config)

    def epoch_steps(self, batch_size: int) -> int:
        return max(1, len(self.train) // batch_size)

    def batches(self, optim: OptimConfig, rank: int, world: int) -> Dataset[Batch]:
        sampler = PhraseSampler(SignerBook.of(self.train, set(self.vocabulary)), self.config.phrases)
        return PhraseBatches(sampler, self.vocabulary, optim.batch_size, optim.steps, optim.seed, rank, world)

    def evaluate(self, model: SignModel, rank: int, world: int) -> dict[str, Any]:
        """Greedy decoding, no thresholds; WER is that of composed phrases over all glosses, or of the isolated clips
        where no dev signer knows enough glosses for a phrase."""
        if self._evaluation is None:
            self._evaluation = Evaluation(self.dev, self.vocabulary, self.config.dev_phrases)
        evaluation = self._evaluation
        config = CheckpointConfig("run", "ase", self.vocabulary, model.config, decoder=DecoderConfig(beam=1))
        recogniser = Recogniser(config, model, str(next(model.parameters()).device))

        def reader(recogniser: Recogniser, examples: Sequence[Example]) -> list[tuple[GlossSegment, ...]]:
            return shared_answers(lambda mine: read(recogniser, mine), examples, self.vocabulary, rank, world)

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
        frames = sorted(len(c.points) for c in self.train)
        return {
            "corpus": "signs",
            "clips": {name: len(clips) for name, clips in splits.items()},
            "signers": {name: len({c.signer for c in clips}) for name, clips in splits.items()},
            "glosses": dict(sorted(Counter(c.gloss for c in self.train).items())),
            "frames": {"least": frames[0], "median": frames[len(frames) // 2], "most": frames[-1]},
            "left_out": [
                {"gloss": g, "clips": n, "why": "not in this run's glosses"}
                for g, n in sorted(left_out.items())
                if g != NONE
            ],
        }
