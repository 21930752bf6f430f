"""A recogniser of tracks on BOSTON-104: every way of reading, sentences of a known wording apart from new ones.

No boundaries of the evaluated split are used: a whole video in, glosses out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.training.corpora.boston104.features import TRACK_FPS
from app.training.corpora.boston104.recogniser import Method, TrackRecogniser
from app.training.corpora.boston104.sentences import Sentence, load_boston104
from app.training.evaluation.answers import Answer, errors, tables
from app.training.evaluation.report import EvaluationReport
from app.training.evaluation.tables import markdown_table, report_tables, ways_table
from app.training.evaluation.times import time_figures

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


def track_figures(
    recogniser: TrackRecogniser, sentences: Sequence[Sentence], training: Sequence[Sentence]
) -> dict[str, Any]:
    """Per way: `time_figures`; WER over all, over wordings of `training` sentences and over new ones. Tables of the
    headline way."""
    lattices = recogniser.lattices([s.tracks for s in sentences])
    known = {s.glosses for s in training}
    read: dict[str, list[Answer]] = {}
    ways, times = {}, {}
    signed = [[(s.gloss, s.start / TRACK_FPS, s.end / TRACK_FPS) for s in one.segments] for one in sentences]
    for name, method, with_lm in WAYS:
        answers = read[name] = []
        for sentence, lattice in zip(sentences, lattices, strict=True):
            tokens = recogniser.read(lattice, method, with_lm).tokens
            said = tuple(recogniser.segment(lattice, token) for token in tokens)
            answers.append(Answer(sentence.glosses, said, sentence.speaker))
        of_known = [a for a in answers if a.reference in known]
        of_new = [a for a in answers if a.reference not in known]
        sets = zip(SETS, (answers, of_known, of_new), strict=True)
        ways[name] = {label: {**errors(part), "sentences": len(part)} for label, part in sets}
        times[name] = time_figures(zip(signed, (a.predicted for a in answers), strict=True))
    return {
        "headline": HEADLINE,
        "ways": ways,
        "times": times,
        "tables": tables(read[HEADLINE]),
        "sentences": [
            {
                "video": sentence.video,
                "signer": sentence.speaker,
                "signed": " ".join(answer.reference),
                "read": " ".join(s.gloss for s in answer.predicted),
            }
            for sentence, answer in zip(sentences, read[HEADLINE], strict=True)
        ],
    }


def report_tracks(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    counts = figures["ways"][figures["headline"]]
    sizes = ", ".join(f"{name}: {counts[name]['sentences']}" for name in SETS)
    sentences = [(s["video"], s["signed"], s["read"] or "-") for s in figures["sentences"]]
    parts = [
        f"{figures['checkpoint']}, BOSTON-104, {figures['split']} split, no boundaries given. Sentences: {sizes}.",
        ways_table("WER", figures["ways"], SETS),
        "Times of the signs that were read right, against the boundaries that were set by hand:",
        markdown_table(
            ("way", "overlap (IoU)", "start", "end", "signs"),
            [
                (name, f"{row['iou']:.2f}", f"{row['start_ms']} ms", f"{row['end_ms']} ms", str(row["timed"]))
                for name, row in figures["times"].items()
            ],
        ),
        f"What follows is of: {figures['headline']}.",
        report_tables(figures["tables"]),
        markdown_table(("video", "signed", "read"), sentences),
    ]
    return "\n\n".join(parts)


def evaluate(folder: Path, data: Path, split: str) -> EvaluationReport:
    """The checkpoint in `folder` on one split of the corpus in `data`. Raises CheckpointError, CorpusError."""
    recogniser, training = TrackRecogniser.load(folder), load_boston104(data, "train")
    sentences = training if split == "train" else load_boston104(data, split)
    about = {"checkpoint": recogniser.config.model_id, "corpus": "boston104", "split": split}
    figures = about | track_figures(recogniser, sentences, training)
    text = report_tracks(figures)
    return EvaluationReport(figures, text, text, figures["tables"])  # its signers have no names
