"""How good is a recogniser on signers it has never seen: isolated clips, composed phrases, idle input.

Run by `python -m app evaluate --checkpoint asl-everyday --data FOLDER`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.pipeline.keypoints import DEFAULT_ASPECT, hand_present
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import resample
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.training.augment import to_image_coords
from app.training.corpora.signs.clips import NONE, SignClip, active_range, load_signs, signs_of
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, signer_book
from app.training.evaluation.decoders import ways_of
from app.training.evaluation.live import live_figures, report_live
from app.training.evaluation.reading import Example, Reader, read, word_errors
from app.training.evaluation.report import EvaluationReport, report_ways
from app.training.evaluation.tables import cell, markdown_table

CORE = (
    "HELLO", "THANK-YOU", "I-LOVE-YOU", "NO", "PLEASE", "YES", "HELP", "GOODBYE", "IX-1", "YOU", NONE, "SORRY", "EAT",
    "GOOD", "WELCOME", "HOW", "NAME",
)  # fmt: skip
COMMON = ("HELLO", "THANK-YOU", "I-LOVE-YOU")
#: The corpus does not record its frame rate; every figure is over these, in frames per second.
RATES = (12.5, 50 / 3, 25.0)
#: Clips cut to the frames with a hand and played this fast last half a second: how dictionaries show practised signing.
FAST_RATES = (37.5, 50.0)


def isolated_examples(clips: Sequence[SignClip], fps: float) -> list[Example]:
    """The clips as files recorded at `fps` would arrive, through module 1. NONE has no glosses."""
    return [
        Example(normalise(resample(clip.keypoints(fps)), DEFAULT_ASPECT), signs_of(clip.gloss), clip.signer)
        for clip in clips
    ]


def composed_examples(clips: Sequence[SignClip], glosses: set[str], count: int, seed: int) -> list[Example]:
    """Composed phrases of 3 to 6 signs by one signer each, not augmented; signers of fewer than 3 are left out."""
    by_signer: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.gloss in glosses:
            by_signer[clip.signer].add(clip.gloss)
    usable = {s for s, known in by_signer.items() if len(known) >= 3}
    if not usable:
        return []
    config = PhraseConfig(single=0.0, still=0.0)
    sampler = PhraseSampler(signer_book([c for c in clips if c.signer in usable], glosses), config)
    rng = np.random.default_rng(seed)
    phrases = [sampler.draw(rng, signs=int(rng.integers(3, 7))) for _ in range(count)]
    return [Example(normalise(to_image_coords(p.points), 1.0), tuple(p.glosses), p.signer) for p in phrases]


def idle_examples(clips: Sequence[SignClip], count: int, seed: int) -> dict[str, list[Example]]:
    """Input without signing: the NONE clips; a person who keeps still, hands in sight or not; an empty room.

    A still person is one frame of a NONE clip, or the first of a clip that begins without hands, held with landmark
    noise. What the clips have no example of is left out: a corpus need not have NONE clips.
    """
    rng = np.random.default_rng(seed)
    none = [c for c in clips if c.gloss == NONE]
    at_rest = [c for c in clips if not hand_present(c.points[:1].astype(np.float32)).any()]
    still = []
    for k in range(count if none or at_rest else 0):
        of_none = bool(none) and (k % 2 == 1 or not at_rest)
        pool = none if of_none else at_rest
        clip = pool[int(rng.integers(len(pool)))]
        frame = int(rng.integers(len(clip.points))) if of_none else 0
        pose = np.repeat(clip.keypoints(25).points[frame : frame + 1], int(rng.integers(25, 200)), axis=0)
        pose[..., :2] += rng.normal(0, 0.002, pose[..., :2].shape).astype(np.float32) * (pose[..., 2:] > 0)
        still.append(Example(normalise(pose, DEFAULT_ASPECT), (), clip.signer))
    empty = [Example(normalise(np.zeros((n, 75, 3), np.float32), DEFAULT_ASPECT), (), "") for n in (25, 64, 100, 250)]
    sets = {"none clips": [e for r in RATES for e in isolated_examples(none, r)], "still person": still, "empty": empty}
    return {name: examples for name, examples in sets.items() if examples}


class Evaluation:
    """All dev figures of one vocabulary; the features are made once, so several recognisers can be compared."""

    def __init__(self, clips: Sequence[SignClip], vocabulary: Sequence[str], phrases: int = 300) -> None:
        self.vocabulary = tuple(vocabulary)
        clips = [c for c in clips if set(signs_of(c.gloss)) <= set(self.vocabulary)]
        recorded = [c for c in clips if len(signs_of(c.gloss)) > 1]
        clips = [c for c in clips if len(signs_of(c.gloss)) < 2]
        self.recorded = [e for rate in RATES for e in isolated_examples(recorded, rate)]
        self.isolated = {rate: isolated_examples(clips, rate) for rate in RATES}
        signed = [replace(c, points=c.points[slice(*active_range(c.points))]) for c in clips if c.gloss != NONE]
        self.fast = {rate: isolated_examples(signed, rate) for rate in FAST_RATES}
        core = set(CORE) & set(self.vocabulary)
        self.composed = {
            "core": composed_examples(clips, core, phrases, seed=7),
            "all": composed_examples(clips, set(self.vocabulary), phrases, seed=8),
        }
        self.idle = idle_examples(clips, 100, seed=9)

    def figures(self, recogniser: Recogniser, read: Reader = read) -> dict[str, Any]:
        """Share (0..1) of isolated clips read right, WER with S/D/I of phrases, share of idle input left silent."""
        exact: dict[str, list[bool]] = defaultdict(list)
        confused: dict[str, Counter[str]] = defaultdict(Counter)
        by_rate = {}
        for rate, examples in self.isolated.items():
            right_core = []
            for example, said in zip(examples, read(recogniser, examples), strict=True):
                answer = tuple(s.gloss for s in said)
                gloss = example.glosses[0] if example.glosses else NONE
                exact[gloss].append(answer == example.glosses)
                if answer != example.glosses:
                    confused[gloss][" ".join(answer)] += 1
                if gloss in CORE:
                    right_core.append(answer == example.glosses)
            by_rate[f"{rate:.1f}"] = _mean(right_core)

        def share(glosses: Sequence[str]) -> float:
            return _mean([r for g in glosses for r in exact.get(g, [])])

        return {
            "core_exact": share(CORE),
            "common_exact": share(COMMON),
            "all_exact": share(list(exact)),
            "core_gloss_mean": _mean([_mean(exact[g]) for g in CORE if g in exact]),
            "gloss_mean": _mean([_mean(v) for v in exact.values()]),
            "core_exact_by_rate": by_rate,
            "fast_core_exact_by_rate": {f"{r:.1f}": self.core_exact(recogniser, e, read) for r, e in self.fast.items()},
            "composed": {name: self.errors(recogniser, examples, read) for name, examples in self.composed.items()},
            "recorded_phrases": self.errors(recogniser, self.recorded, read),
            "idle_silent": {
                name: _mean([not said for said in read(recogniser, examples)]) for name, examples in self.idle.items()
            },
            "gloss_exact": {g: _mean(v) for g, v in sorted(exact.items())},
            "confused_with": {g: dict(c.most_common(3)) for g, c in sorted(confused.items())},
        }

    def signed(self) -> dict[str, list[Example]]:
        """The examples in which something is signed, for ways of reading that are compared: by name of the set."""
        sets = {
            "single clips at 25 fps": self.isolated[25.0],
            "phrases, core": self.composed["core"],
            "phrases, all": self.composed["all"],
        }
        return {name: [e for e in examples if e.glosses] for name, examples in sets.items()}

    def core_exact(self, recogniser: Recogniser, examples: Sequence[Example], read: Reader = read) -> float:
        said = read(recogniser, examples)
        return _mean(
            [
                tuple(s.gloss for s in answer) == e.glosses
                for e, answer in zip(examples, said, strict=True)
                if e.glosses[0] in CORE
            ]
        )

    def errors(self, recogniser: Recogniser, examples: Sequence[Example], read: Reader = read) -> dict[str, float]:
        return word_errors(examples, read(recogniser, examples))


def _mean(values: Sequence[float] | Sequence[bool]) -> float:
    return round(float(np.mean(values)), 4) if values else float("nan")


def report(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    keys = ("core_exact", "common_exact", "all_exact", "core_gloss_mean", "gloss_mean")
    rows = [(key.replace("_", " "), f"{figures[key]:.1%}") for key in keys]
    for key, name in (
        ("core_exact_by_rate", "core exact, clips taken as"),
        ("fast_core_exact_by_rate", "core exact without NONE, clips cut to the frames with a hand, as"),
    ):
        rows += [(f"{name} {rate} fps", f"{value:.1%}") for rate, value in figures[key].items()]
    rows += [(f"composed phrases, {name}: WER", cell(errors)) for name, errors in figures["composed"].items()]
    rows.append(("phrases recorded as one clip: WER", cell(figures["recorded_phrases"])))
    rows += [(f"silent on {name}", f"{value:.1%}") for name, value in figures["idle_silent"].items()]
    return markdown_table(("figure", "value"), rows)


def report_glosses(figures: dict[str, Any]) -> str:
    """Per gloss of single clips: share read right and what it was taken for, as a table in Markdown."""
    rows = [(gloss, f"{value:.0%}", read_instead(figures, gloss)) for gloss, value in figures["gloss_exact"].items()]
    return markdown_table(("gloss", "exact", "otherwise read as"), rows)


def read_instead(figures: dict[str, Any], gloss: str) -> str:
    """What clips of the gloss were read as where they were misread, and how often."""
    return ", ".join(f"{g or 'nothing'} {n}" for g, n in figures["confused_with"].get(gloss, {}).items())


def evaluate(
    recogniser: Recogniser, folder: Path, split: str, title: str, live: StreamConfig | None
) -> EvaluationReport:
    """Figures of single clips and composed phrases of one split, and WER by every way of reading.

    live: also as a stream in windows of this shape. Raises CorpusError.
    """
    evaluation = Evaluation(load_signs(folder, split), recogniser.vocabulary)
    figures = evaluation.figures(recogniser)
    ways = ways_of(recogniser, evaluation.signed(), live)
    text, card = (
        f"{title}\n\n{report(figures)}\n\n{report_ways(ways, names)}\n\n{report_glosses(figures)}"
        for names in (True, False)
    )
    return EvaluationReport({"corpus": "signs", **figures, **ways}, text, card, ways["tables"])


def compare_live(recogniser: Recogniser, folder: Path, split: str, live: StreamConfig) -> EvaluationReport:
    """Live captions against offline answers on one split. Raises CorpusError."""
    evaluation = Evaluation(load_signs(folder, split), recogniser.vocabulary)
    figures = live_figures(recogniser, evaluation.signed(), live)
    return EvaluationReport(figures, report_live(figures))
