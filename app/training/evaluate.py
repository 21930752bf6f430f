"""How good is a recogniser on signers it has never seen: isolated clips, composed phrases, idle input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import resample
from app.pipeline.module3_sequence.model import SignModel
from app.training.batches import collate
from app.training.corpus import NONE, Clip
from app.training.phrases import PhraseConfig, PhraseSampler, SignerBook, to_picture

CORE = (
    "HELLO", "THANK-YOU", "I-LOVE-YOU", "NO", "PLEASE", "YES", "HELP", "GOODBYE", "IX-1", "YOU", NONE, "SORRY", "EAT",
    "GOOD", "WELCOME", "HOW", "NAME",
)  # fmt: skip
COMMON = ("HELLO", "THANK-YOU", "I-LOVE-YOU")
#: The corpus does not record its frame rate; every figure is the mean over these, in frames per second.
RATES = (12.5, 16.667, 25.0)


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
            () if clip.gloss == NONE else (clip.gloss,),
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
    config = PhraseConfig(single=0.0, still=0.0)
    sampler = PhraseSampler(SignerBook.of([c for c in clips if c.signer in usable], glosses), config)
    rng = np.random.default_rng(seed)
    phrases = [sampler.draw(rng, signs=int(rng.integers(3, 7))) for _ in range(count)]
    return [Example(normalise(to_picture(p.points), 1.0), tuple(p.glosses), "") for p in phrases]


@torch.inference_mode()
def lattices(model: SignModel, examples: Sequence[Example], batch_size: int = 64) -> list[NDArray[np.float32]]:
    """Log-probability lattice (S, V) of each example, in order."""
    device = next(model.parameters()).device
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].features))
    out: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(examples)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = collate([(examples[i].features, []) for i in rows]).to(device)
        lattice = model(batch.features, batch.lengths)
        log_probs = torch.log_softmax(lattice.logits.float(), dim=-1).cpu().numpy()
        for row, i in enumerate(rows):
            out[i] = log_probs[row, : int(lattice.steps[row])]
    return out


def greedy(log_probs: NDArray[np.float32], vocabulary: Sequence[str]) -> list[str]:
    """Best path collapsed by CTC's rule: (S, V) -> glosses."""
    best = log_probs.argmax(axis=1)
    keep = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
    return [vocabulary[i - 1] for i in best[keep]]


class QuickEvaluation:
    """The figures watched while training: greedy decoding, dev signers, no thresholds."""

    def __init__(self, clips: Sequence[Clip], vocabulary: tuple[str, ...], phrases: int = 300) -> None:
        from app.pipeline.wer import word_errors

        self.word_errors = word_errors
        self.vocabulary = vocabulary
        known = [c for c in clips if c.gloss == NONE or c.gloss in vocabulary]
        self.isolated = {rate: isolated_examples(known, rate) for rate in RATES}
        core = set(CORE) & set(vocabulary)
        self.composed = {
            "core": composed_examples(clips, core, phrases, seed=7),
            "all": composed_examples(clips, set(vocabulary), phrases, seed=8),
        }

    def __call__(self, model: SignModel) -> dict[str, float]:
        exact: dict[str, list[bool]] = defaultdict(list)
        by_rate: dict[str, float] = {}
        for rate, examples in self.isolated.items():
            right_core = []
            for example, lattice in zip(examples, lattices(model, examples), strict=True):
                right = tuple(greedy(lattice, self.vocabulary)) == example.glosses
                gloss = example.glosses[0] if example.glosses else NONE
                exact[gloss].append(right)
                if gloss in CORE:
                    right_core.append(right)
            by_rate[f"core@{rate:.0f}"] = float(np.mean(right_core))

        def share(glosses: Sequence[str]) -> float:
            return float(np.mean([r for g in glosses for r in exact.get(g, [])]))

        words = [g for g in exact if not g.startswith("FS-")]
        figures = {
            "core_exact": share(CORE),
            "common_exact": share(COMMON),
            "word_exact": share(words),
            "all_exact": share(list(exact)),
            "gloss_mean": float(np.mean([np.mean(v) for v in exact.values()])),
            "none_silent": share([NONE]),
            **by_rate,
        }
        for name, examples in self.composed.items():
            errors = sum(
                (
                    self.word_errors(e.glosses, greedy(lat, self.vocabulary))
                    for e, lat in zip(examples, lattices(model, examples), strict=True)
                ),
                start=self.word_errors([], []),
            )
            figures[f"{name}_wer"] = errors.wer
            figures[f"{name}_sub"] = errors.substitutions
            figures[f"{name}_del"] = errors.deletions
            figures[f"{name}_ins"] = errors.insertions
        return {k: round(v, 4) for k, v in figures.items()}
