"""Times of signs: in order, inside the clip, around their peaks, and where lattice and hands say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.movement import HEIGHT, MOVEMENT_DIM, SPEED, UNSEEN
from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.sign_times import REACH, Evidence, TimeWeights, peak_end, peak_start, sign_times

LABELS = 5
WEIGHTS = TimeWeights()


def still(frames: int) -> NDArray[np.float32]:
    """Hands in sight that do not move."""
    return np.zeros((frames, MOVEMENT_DIM), np.float32)


def flat(steps: int) -> NDArray[np.float32]:
    return np.full((steps, 1 + LABELS), -np.log(1 + LABELS), np.float32)


@st.composite
def clips(draw: st.DrawFn) -> tuple[list[DecodedToken], NDArray[np.float32], NDArray[np.float32]]:
    """Any signs in any lattice with any hands; the last step may be covered by fewer frames than four."""
    cuts = draw(st.lists(st.integers(0, 60), min_size=1, max_size=10))
    tokens, at = [], 0
    for gap in cuts:
        length = draw(st.integers(1, 3))
        tokens.append(DecodedToken(draw(st.integers(1, LABELS)), at + gap, at + gap + length))
        at += gap + length
    steps = at + draw(st.integers(0, 40))
    frames = 4 * steps - draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    lattice = np.log(rng.dirichlet(np.full(1 + LABELS, 0.05), steps) + 1e-30).astype(np.float32)
    lattice[rng.random(steps) < 0.2] = [0.0, *[-50.0] * LABELS]
    lattice[rng.random(steps) < 0.1] = [0.0, *[-np.inf] * LABELS]
    movement = still(frames)
    movement[:, HEIGHT] = rng.normal(0, 1, frames)
    movement[:, SPEED] = rng.exponential(0.1, frames)
    movement[:, UNSEEN] = np.where(rng.random(frames) < 0.5, 0, rng.choice([1, 5, 9, np.inf], frames))
    return tokens, lattice, movement


@settings(max_examples=200, deadline=None)
@given(clips())
def test_signs_stay_in_order_inside_the_clip_and_around_their_peaks(
    clip: tuple[list[DecodedToken], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    tokens, lattice, movement = clip
    times = sign_times(tokens, Evidence(lattice, movement), WEIGHTS)
    assert times == sign_times(tokens, Evidence(lattice, movement), WEIGHTS)
    assert len(times) == len(tokens)
    for token, (start, end) in zip(tokens, times, strict=True):
        assert 0 <= start < end <= len(movement)
        assert start <= 4 * token.start_step + 2
        assert end >= min(4 * token.end_step - 2, len(movement))
        assert peak_start(token) - start <= REACH
        assert end - peak_end(token) <= REACH
    for (_, end), (start, _) in itertools.pairwise(times):
        assert end <= start


@settings(max_examples=50, deadline=None)
@given(clips(), st.integers(0, 30))
def test_a_part_of_a_stream_gives_the_times_of_the_whole(
    clip: tuple[list[DecodedToken], NDArray[np.float32], NDArray[np.float32]], spare: int
) -> None:
    """Between the first and the last sign nothing before the one and behind the other plays a part."""
    tokens, lattice, movement = clip
    first = max(0, tokens[0].start_step - spare)
    end = tokens[-1].end_step + 1
    frame = max(0, 4 * first - 1)  # as a stream cuts it: for what is around the first peak
    whole = sign_times(tokens, Evidence(lattice, movement), WEIGHTS)
    part = Evidence(lattice[first:end], movement[frame : 4 * end], first, frame)
    found = sign_times(tokens, part, WEIGHTS)
    assert [e for _, e in found[:-1]] == [e for _, e in whole[:-1]]
    assert [s for s, _ in found[1:]] == [s for s, _ in whole[1:]]


def test_no_signs_have_no_times() -> None:
    assert sign_times([], Evidence(flat(3), still(12)), WEIGHTS) == []


def test_the_boundary_is_where_the_lattice_changes_from_one_sign_to_the_other() -> None:
    weights = TimeWeights(after=(-1, 1, 0, 0, 0, 0), before=(-1, 1, 0, 0, 0, 0))
    lattice = np.log(np.full((20, 1 + LABELS), 0.01, np.float32))
    lattice[:9, 1] = lattice[12:, 2] = np.log(0.95)
    tokens = [DecodedToken(1, 2, 3), DecodedToken(2, 17, 18)]
    (_, end), (start, _) = sign_times(tokens, Evidence(lattice, still(80)), weights)
    assert 34 <= end <= 38  # step 9 begins at frame 36
    assert 46 <= start <= 50  # step 12 begins at frame 48


def test_a_sign_ends_when_the_hands_come_down() -> None:
    movement = still(80)
    movement[:, SPEED] = 0.2
    movement[40:, HEIGHT] = -1.4
    movement[:12, HEIGHT] = -1.4
    ((start, end),) = sign_times([DecodedToken(1, 5, 6)], Evidence(flat(20), movement), WEIGHTS)
    assert (start, end) == (12, 40)


def test_a_sign_does_not_last_while_hands_keep_still_or_are_gone() -> None:
    token = DecodedToken(1, 5, 6)
    movement = still(80)
    movement[:36, SPEED] = 0.2
    assert sign_times([token], Evidence(flat(20), movement), WEIGHTS)[0][1] <= 38
    movement[:, SPEED] = 0.2
    movement[50:, UNSEEN] = np.arange(1, 31)
    assert sign_times([token], Evidence(flat(20), movement), WEIGHTS)[0][1] <= 50


def test_no_sign_begins_in_what_an_earlier_sentence_took() -> None:
    movement = still(80)
    movement[:, SPEED] = 0.3
    tokens, evidence = [DecodedToken(1, 10, 11)], Evidence(flat(20), movement)
    assert sign_times(tokens, evidence, WEIGHTS)[0][0] < 30
    assert sign_times(tokens, evidence, WEIGHTS, free_from=33)[0][0] >= 33


@pytest.mark.parametrize("values", [{"after": [1, 2]}, {"first": [1, 2, 3, float("nan")]}, {"afterwards": [1]}])
def test_weights_that_do_not_fit_are_refused(values: dict[str, list[float]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        TimeWeights.from_dict(values)


def test_weights_survive_json() -> None:
    assert TimeWeights.from_dict(WEIGHTS.to_dict()) == WEIGHTS
