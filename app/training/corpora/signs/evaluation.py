"""How good is a recogniser on signers it has never seen: isolated clips, composed phrases, idle input.

What `python -m app evaluate --checkpoint asl-everyday --data FOLDER` measures on the signs corpus.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, hand_present
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import resample
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.corpora.signs.clips import NONE, Clip, active_range, signs_of
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, SignerBook, to_picture
from app.training.evaluation.answers import figures as figures_of
from app.training.evaluation.wer import corpus_errors

CORE = (
    "HELLO", "THANK-YOU", "I-LOVE-YOU", "NO", "PLEASE", "YES", "HELP", "GOODBYE", "IX-1", "YOU", NONE, "SORRY", "EAT",
    "GOOD", "WELCOME", "HOW", "NAME",
)  # fmt: skip
COMMON = ("HELLO", "THANK-YOU", "I-LOVE-YOU")
#: The corpus does not record its frame rate; every figure is over these, in frames per second.
RATES = (12.5, 50 / 3, 25.0)
#: Clips cut to the frames with a hand and played this fast last half a second: how dictionaries show practised signing.
FAST_RATES = (37.5, 50.0)


@dataclass(frozen=True, slots=True)
class Example:
    """features (T, F) as `normalise` makes them; what is signed; who signs."""

    features: NDArray[np.float32]
    glosses: tuple[str, ...]
    signer: str


def isolated_examples(clips: Sequence[Clip], fps: float) -> list[Example]:
    """The clips as files recorded at `fps` would arrive, through module 1. NONE has no glosses."""
    return [
        Example(
            normalise(resample(clip.keypoints(fps)), DEFAULT_ASPECT),
            signs_of(clip.gloss),
            clip.signer,
        )
        for clip in clips
    ]


def composed_examples(clips: Sequence[Clip], glosses: set[str], count: int, seed: int) -> list[Example]:
    """Composed phrases of 3 to 6 signs by one signer each, undisturbed; signers who know fewer than 3 are left out."""
    by_signer: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.gloss in glosses:
            by_signer[clip.signer].add(clip.gloss)
    usable = {s for s, known in by_signer.items() if len(known) >= 3}
    if not usable:
        return []
    config = PhraseConfig(single=0.0, still=0.0)
    sampler = PhraseSampler(SignerBook.of([c for c in clips if c.signer in usable], glosses), config)
    rng = np.random.default_rng(seed)
    phrases = [sampler.draw(rng, signs=int(rng.integers(3, 7))) for _ in range(count)]
    return [Example(normalise(to_picture(p.points), 1.0), tuple(p.glosses), p.signer) for p in phrases]


def idle_examples(clips: Sequence[Clip], count: int, seed: int) -> dict[str, list[Example]]:
    """Input without signing: the NONE clips; a person who keeps still, hands in sight or not; an empty room.

    A still person is one frame of a NONE clip, or one without hands of a sign's clip, held with landmark noise.
    """
    rng = np.random.default_rng(seed)
    none = [c for c in clips if c.gloss == NONE]
    at_rest = [c for c in clips if not hand_present(c.points[:1].astype(np.float32)).any()]
    still = []
    for k in range(count):
        pool = none if k % 2 else at_rest
        clip = pool[int(rng.integers(len(pool)))]
        frame = int(rng.integers(len(clip.points))) if k % 2 else 0
        pose = np.repeat(clip.keypoints(25).points[frame : frame + 1], int(rng.integers(25, 200)), axis=0)
        pose[..., :2] += rng.normal(0, 0.002, pose[..., :2].shape).astype(np.float32) * (pose[..., 2:] > 0)
        still.append(Example(normalise(pose, DEFAULT_ASPECT), (), clip.signer))
    empty = [Example(normalise(np.zeros((n, 75, 3), np.float32), DEFAULT_ASPECT), (), "") for n in (25, 64, 100, 250)]
    return {"none clips": [e for r in RATES for e in isolated_examples(none, r)], "still person": still, "empty": empty}


def lattices(recogniser: Recogniser, examples: Sequence[Example], batch_size: int = 64) -> list[NDArray[np.float32]]:
    """Log-probabilities (S, 1 + vocabulary) of each example, in order; clips of like length share a pass."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].features))
    out: list[NDArray[np.float32]] = [np.zeros((0, 1), np.float32)] * len(examples)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        for i, (lattice, _) in zip(rows, recogniser.lattices([examples[i].features for i in rows]), strict=True):
            out[i] = lattice
    return out


def read(recogniser: Recogniser, examples: Sequence[Example]) -> list[tuple[GlossSegment, ...]]:
    """What the recogniser says to each example, in order."""
    out = []
    for lattice in lattices(recogniser, examples):
        decoder = recogniser.new_decoder()
        decoder.feed(lattice)
        out.append(recogniser.segments(decoder.best().tokens, lattice))
    return out


#: How examples are answered; several processes share the work by another one than `read`.
Reader = Callable[[Recogniser, Sequence[Example]], list[tuple[GlossSegment, ...]]]


class Evaluation:
    """All dev figures of one vocabulary; the features are made once, so several recognisers can be compared."""

    def __init__(self, clips: Sequence[Clip], vocabulary: Sequence[str], phrases: int = 300) -> None:
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
        said = read(recogniser, examples)
        return word_errors(examples, [[s.gloss for s in answer] for answer in said])


def word_errors(examples: Sequence[Example], said: Sequence[Sequence[str]]) -> dict[str, float]:
    """WER with substitutions, deletions, insertions and the number of signs, for answers in the examples' order."""
    counts = corpus_errors((e.glosses, answer) for e, answer in zip(examples, said, strict=True))
    return figures_of(counts)


def _mean(values: Sequence[float] | Sequence[bool]) -> float:
    return round(float(np.mean(values)), 4) if values else float("nan")


def report(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    lines = ["| figure | value |", "|---|---|"]
    for key in ("core_exact", "common_exact", "all_exact", "core_gloss_mean", "gloss_mean"):
        lines.append(f"| {key.replace('_', ' ')} | {figures[key]:.1%} |")
    for rate, value in figures["core_exact_by_rate"].items():
        lines.append(f"| core exact, clips taken as {rate} fps | {value:.1%} |")
    for rate, value in figures["fast_core_exact_by_rate"].items():
        lines.append(f"| core exact without NONE, clips cut to the frames with a hand, as {rate} fps | {value:.1%} |")
    phrases = {f"composed phrases, {k}": v for k, v in figures["composed"].items()}
    for name, e in (phrases | {"phrases recorded as one clip": figures["recorded_phrases"]}).items():
        lines.append(
            f"| {name}: WER | {e['wer']:.1%} (S {e['substitutions']}, D {e['deletions']}, "
            f"I {e['insertions']} of {e['signs']}) |"
        )
    for name, value in figures["idle_silent"].items():
        lines.append(f"| silent on {name} | {value:.1%} |")
    return "\n".join(lines)


def report_glosses(figures: dict[str, Any]) -> str:
    """Per gloss of single clips: share read right and what it was taken for, as a table in Markdown."""
    lines = ["| gloss | exact | otherwise read as |", "|---|---|---|"]
    for gloss, value in figures["gloss_exact"].items():
        others = ", ".join(f"{g or 'nothing'} {n}" for g, n in figures["confused_with"].get(gloss, {}).items())
        lines.append(f"| {gloss} | {value:.0%} | {others} |")
    return "\n".join(lines)
