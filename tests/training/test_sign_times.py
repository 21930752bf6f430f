"""The weights of the times of signs are learnt from clips in which it is known where signs are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.checkpoint import CheckpointConfig
from app.pipeline.module1_preprocessing.movement import HEIGHT, MOVEMENT_DIM, SPEED
from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.sign_times import BETWEEN, Evidence, TimeWeights, sign_times
from app.training.evaluation.times import overlap
from app.training.sign_times import TimedExample, fit


def phrase(rng: np.random.Generator, late: bool) -> TimedExample:
    """Signs whose peaks lie at their beginning or at their end; between them the hands sink."""
    tokens, stretches, at = [], [], 8
    for label in rng.permutation(4)[:3] + 1:
        steps = int(rng.integers(4, 9))
        peak = at + (steps - 1 if late else 0)
        tokens.append(DecodedToken(int(label), peak, peak + 1))
        stretches.append((4 * at, 4 * (at + steps)))
        at += steps + int(rng.integers(2, 5))
    frames = 4 * (at + 6)
    movement = np.zeros((frames, MOVEMENT_DIM), np.float32)
    movement[:, HEIGHT] = -0.5
    movement[:8, HEIGHT] = movement[-16:, HEIGHT] = -1.4
    movement[:, SPEED] = 0.02
    lattice = rng.normal(0, 1, (at + 6, 5)).astype(np.float32)
    for token, (start, end) in zip(tokens, stretches, strict=True):
        movement[start:end, HEIGHT] = 0
        movement[start:end, SPEED] = 0.1
        lattice[start // 4 : end // 4, token.label] += 3
    lattice -= np.log(np.exp(lattice).sum(axis=1, keepdims=True))
    return TimedExample(Evidence(lattice, movement), tuple(tokens), tuple(stretches))


@pytest.mark.parametrize("late", [False, True])
def test_times_are_learnt_wherever_the_peaks_lie_in_the_signs(late: bool) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    weights = fit([phrase(rng, late) for _ in range(40)])
    found = [
        overlap(true, time)
        for clip in (phrase(rng, late) for _ in range(20))
        for true, time in zip(clip.stretches, sign_times(clip.tokens, clip.evidence, weights), strict=True)
        if true
    ]
    assert np.mean(found) > 0.85
    assert TimeWeights.from_dict(json.loads(json.dumps(weights.to_dict()))) == weights


def test_without_phrases_that_were_read_there_is_nothing_to_learn() -> None:
    clip = phrase(np.random.default_rng(0), False)
    with pytest.raises(ValueError, match="nothing to learn"):
        fit([TimedExample(clip.evidence, clip.tokens, (None, None, None))])


def test_a_checkpoint_keeps_its_own_weights() -> None:
    folder = Path(__file__).resolve().parents[2] / "checkpoints/asl-everyday"
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = CheckpointConfig.from_dict(values)
    assert config.times != TimeWeights()
    assert config.to_dict()["times"] == values["times"]
    assert "times" not in CheckpointConfig.from_dict({k: v for k, v in values.items() if k != "times"}).to_dict()
    assert len(config.times.after) == BETWEEN
