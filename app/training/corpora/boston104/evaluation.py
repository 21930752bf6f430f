"""A recogniser of tracks on BOSTON-104: every way of reading, sentences of a known wording apart from new ones.

No boundary of the split that is measured is looked at: a whole video goes in, glosses come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.pipeline.module3_sequence.confidence import token_confidence
from app.training.corpora.boston104.recogniser import Method, TrackRecogniser
from app.training.corpora.boston104.sentences import Sentence, load_boston104
from app.training.evaluation.answers import Answer, PredictedSign, errors, tables
from app.training.evaluation.report import EvaluationReport
from app.training.evaluation.tables import report_tables, ways_table

#: Ways of reading: name, decoder, with the gloss language model?
WAYS: tuple[tuple[str, Method, bool], ...] = (
    ("greedy", "greedy", False),
    ("prefix beam", "beam", False),
    ("prefix beam + LM", "beam", True),
    ("signs with lengths", "segments", False),
    ("signs with lengths + LM", "segments", True),
)
#: The way that speaks for the checkpoint, chosen on held-out training sentences.
HEADLINE = "signs with lengths + LM"
SETS = ("all", "wording of a training sentence", "new wording")


@dataclass(frozen=True, slots=True)
class TrackEvaluation:
    """Sentences and what was read from them."""

    sentences: tuple[Sentence, ...]
    known: frozenset[tuple[str, ...]]
    """Wordings of training sentences."""
    answers: dict[str, list[Answer]]
    """By way of reading, in the order of the sentences."""

    @classmethod
    def of(
        cls, recogniser: TrackRecogniser, sentences: Sequence[Sentence], training: Sequence[Sentence]
    ) -> TrackEvaluation:
        """Read every sentence in every way; `training` says which wordings are known."""
        lattices = recogniser.lattices([s.tracks for s in sentences])
        answers: dict[str, list[Answer]] = {}
        for name, method, with_lm in WAYS:
            answers[name] = []
            for sentence, lattice in zip(sentences, lattices, strict=True):
                tokens = recogniser.read(lattice, method, with_lm).tokens
                said = tuple(
                    PredictedSign(
                        recogniser.vocabulary[t.label - 1],
                        token_confidence(lattice, t, recogniser.config.temperature),
                    )
                    for t in tokens
                )
                answers[name].append(Answer(sentence.glosses, said, sentence.speaker))
        return cls(tuple(sentences), frozenset(s.glosses for s in training), answers)

    def figures(self) -> dict[str, Any]:
        """Per way: WER over all, over known wordings and over new ones; tables of the headline way."""
        ways = {}
        for name, answers in self.answers.items():
            sets = {
                SETS[0]: answers,
                SETS[1]: [a for a in answers if a.reference in self.known],
                SETS[2]: [a for a in answers if a.reference not in self.known],
            }
            ways[name] = {label: {**errors(part), "sentences": len(part)} for label, part in sets.items()}
        return {
            "headline": HEADLINE,
            "ways": ways,
            "tables": tables(self.answers[HEADLINE]),
            "sentences": [
                {
                    "video": sentence.video,
                    "signer": sentence.speaker,
                    "signed": " ".join(answer.reference),
                    "read": " ".join(s.gloss for s in answer.predicted),
                }
                for sentence, answer in zip(self.sentences, self.answers[HEADLINE], strict=True)
            ],
        }


def track_figures(recogniser: TrackRecogniser, folder: Path, split: str) -> dict[str, Any]:
    """`TrackEvaluation.figures` of one split of the corpus in `folder`. Raises CorpusError."""
    training = load_boston104(folder, "train")
    sentences = training if split == "train" else load_boston104(folder, split)
    return {
        "checkpoint": recogniser.config.model_id,
        "corpus": "boston104",
        "split": split,
        **TrackEvaluation.of(recogniser, sentences, training).figures(),
    }


def report_tracks(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    counts = figures["ways"][figures["headline"]]
    sizes = ", ".join(f"{name}: {counts[name]['sentences']}" for name in SETS)
    lines = [
        f"{figures['checkpoint']}, BOSTON-104, {figures['split']} split, no boundaries given. Sentences: {sizes}.",
        "",
        ways_table("WER", figures["ways"], SETS),
        "",
        f"What follows is of: {figures['headline']}.",
        "",
        report_tables(figures["tables"]),
        "",
        "| video | signed | read |",
        "|---|---|---|",
    ]
    lines += [f"| {s['video']} | {s['signed']} | {s['read'] or '-'} |" for s in figures["sentences"]]
    return "\n".join(lines)


def evaluate(folder: Path, data: Path, split: str) -> EvaluationReport:
    """The checkpoint in `folder` on one split of the corpus in `data`. Raises CheckpointError, CorpusError."""
    figures = track_figures(TrackRecogniser.load(folder), data, split)
    text = report_tracks(figures)
    return EvaluationReport(figures, text, text, figures["tables"])  # its signers have no names
