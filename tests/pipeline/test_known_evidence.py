"""What is known of the signs of a sentence is computed once, and they come out as if all were read each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.pipeline.module3_sequence import stretches
from app.pipeline.module3_sequence.steps import BLANK, steps_in
from app.pipeline.module3_sequence.stretches import KnownEvidence
from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.streaming import CaptionStream, StreamConfig, StreamUpdate
from tests.support.recognisers import tiny_checkpoint, varied

FRAMES, SIGN_STEPS = 1000, 6
DECODERS = [{"beam": 1}, {"beam": 1, "stretch": 0.2}, {"beam": 4, "stretch": 0.2}]


def updates(recogniser: Recogniser) -> list[StreamUpdate]:
    """Of one sentence of 40 seconds, a sign every quarter of a second, eight frames at a time. What the network says
    of a step is made up."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (steps_in(FRAMES), 1 + len(recogniser.vocabulary)))
    scores[:, BLANK] += 3
    for step in range(2, len(scores), SIGN_STEPS):
        scores[step : step + 2, rng.integers(1, scores.shape[1])] += 6
    lattice = (scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)).astype(np.float32)
    stream = CaptionStream(recogniser, StreamConfig(window=64, stride=32, endpoint_s=10))
    clip, found = varied(FRAMES), []
    for start in range(0, FRAMES, 8):
        stream.add(clip.points[start : start + 8], (np.arange(start, start + 8) / 25).tolist())
        while job := stream.next_job():
            rows = lattice[job.start // 4 :][: steps_in(len(job.features))]
            # Windows do not agree on what they see: each has a little noise of its own.
            rows = rows + np.random.default_rng(job.end).normal(0, 0.1, rows.shape).astype(np.float32)
            rows -= np.logaddexp.reduce(rows, axis=1, keepdims=True)
            found.append(stream.apply(job, WindowOutput(rows, np.zeros(len(rows), np.float32))))
    return [*found, stream.end_sentence(None, None)]


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_it_is_what_reading_all_signs_again_says(
    tmp_path: Path, decoder: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = Recogniser.load(tiny_checkpoint(tmp_path, **decoder))
    found = updates(recogniser)
    assert len(found[-1].segments) >= 20

    def all_again(self: KnownEvidence, tokens: Any, lattice: Any, weight: Any, first_step: Any, final: int) -> Any:
        return of(KnownEvidence(), tokens, lattice, weight, first_step, 0)

    of = KnownEvidence.of
    monkeypatch.setattr(KnownEvidence, "of", all_again)
    assert updates(recogniser) == found


def test_the_work_for_a_partial_does_not_grow_with_the_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = Recogniser.load(tiny_checkpoint(tmp_path, beam=1, stretch=0.2))
    read = 0

    def counted(*arguments: object) -> object:
        nonlocal read
        read += 1
        return evidence(*arguments)  # type: ignore[arg-type]

    evidence = stretches.stretch_evidence
    monkeypatch.setattr(stretches, "stretch_evidence", counted)
    shown = sum(len(update.segments) for update in updates(recogniser))
    assert read < shown / 2  # all signs of all updates, were they read each time
