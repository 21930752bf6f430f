"""Examples from which a recogniser of `signs` learns the times of its signs: phrases and single signs of training
signers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT
from app.pipeline.module1_preprocessing.movement import HEIGHT, UNSEEN, hand_movement
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import MODEL_FPS, resample
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.training.augment import to_image_coords
from app.training.corpora.signs.clips import load_signs, signs_of
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, signer_book
from app.training.evaluation.times import Stretch, time_figures
from app.training.sign_times import TimedExample, example
from app.training.strokes import stroke_in

#: Frames a second that single clips are taken for.
_RATE = 50 / 3


def timed_phrases(
    root: Path, split: str, vocabulary: tuple[str, ...], count: int, seed: int
) -> list[tuple[NDArray[np.float32], tuple[str, ...], list[tuple[int, int]]]]:
    """Features, glosses and the frames of each sign, of `count` composed phrases of three to six signs: a sign is its
    clip from the first to the last frame with a hand."""
    clips = [c for c in load_signs(root, split) if set(signs_of(c.gloss)) <= set(vocabulary)]
    known: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        known[clip.signer].update(signs_of(clip.gloss))
    usable = [c for c in clips if len(known[c.signer]) >= 3]
    sampler = PhraseSampler(signer_book(usable, set(vocabulary)), PhraseConfig(single=0.0, still=0.0))
    rng = np.random.default_rng(seed)
    drawn = [sampler.draw(rng, signs=int(rng.integers(3, 7))) for _ in range(count)]
    return [
        (normalise(to_image_coords(p.points), 1.0), tuple(p.glosses), [(s.start, s.end) for s in p.signs])
        for p in drawn
    ]


def timed_examples(recogniser: Recogniser, root: Path, count: int = 150, seed: int = 3) -> list[TimedExample]:
    """As many phrases as single clips; in these a sign is its stroke, without the hands coming up and going down."""
    asked = timed_phrases(root, "train", recogniser.vocabulary, count, seed)
    clips = [c for c in load_signs(root, "train") if c.gloss in recogniser.vocabulary]
    for i in np.random.default_rng(seed).permutation(len(clips))[:count].tolist():
        features = normalise(resample(clips[i].keypoints(_RATE)), DEFAULT_ASPECT)
        movement = hand_movement(features)
        height = np.where(movement[:, UNSEEN] == 0, movement[:, HEIGHT], -np.inf)
        seen = np.flatnonzero(np.isfinite(height))
        if len(seen):
            first, end = stroke_in(height[seen[0] : seen[-1] + 1])
            asked.append((features, (clips[i].gloss,), [(int(seen[0]) + first, int(seen[0]) + end)]))
    lattices = [lattice for features, _, _ in asked for lattice, _ in recogniser.lattices([features])]
    return [
        example(recogniser, lattice, hand_movement(features), signed, frames)
        for (features, signed, frames), lattice in zip(asked, lattices, strict=True)
    ]


def time_errors(recogniser: Recogniser, root: Path, split: str = "dev", count: int = 150) -> dict[str, dict[str, Any]]:
    """`time_figures` of composed phrases of the split, by the recogniser's times and by CTC's peaks alone."""
    answers: dict[str, list[tuple[list[Stretch], tuple[GlossSegment, ...]]]] = {"times": [], "peaks": []}
    for features, glosses, frames in timed_phrases(root, split, recogniser.vocabulary, count, seed=4):
        ((lattice, _),) = recogniser.lattices([features])
        signed = [(g, a / MODEL_FPS, b / MODEL_FPS) for g, (a, b) in zip(glosses, frames, strict=True)]
        for name, movement in (("times", hand_movement(features)), ("peaks", None)):
            answers[name].append((signed, recogniser.read(lattice, recogniser.new_decoder(), movement)))
    return {name: time_figures(found) for name, found in answers.items()}
