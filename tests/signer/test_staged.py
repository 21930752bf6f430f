"""Signs and words without a sign in one performance: no jumps, nothing far from the body, and the times of each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.keypoints import DEFAULT_ASPECT, LEFT_HAND
from app.signer.performance import FASTEST, FPS, REST_WRISTS, SHORTEST_TRAVEL_S
from app.signer.prototypes import SHOULDER_LINE, SHOULDERS, PrototypeSigner, UnknownGloss, load
from app.signer.render import video_pieces

#: Shoulder widths from the shoulder midpoint that a stretched arm with its hand reaches.
REACH = 3.0


@pytest.fixture(scope="module")
def signer() -> PrototypeSigner:
    return load()


ROWS = st.lists(
    st.lists(st.sampled_from(sorted(load())), min_size=1, max_size=1)
    | st.lists(st.sampled_from(sorted(load())), max_size=3),
    min_size=1,
    max_size=5,
)


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_whatever_is_staged_is_smooth_and_near_the_body(signer: PrototypeSigner, rows: list[list[str]]) -> None:
    staged = signer.staged(rows)
    points, duration = staged.keypoints.points.astype(float), staged.keypoints.duration_s
    assert np.isfinite(points).all()
    body = (points[:, LEFT_HAND.start :, :2] - [0.5, SHOULDER_LINE]) / (SHOULDERS * np.array([1, DEFAULT_ASPECT]))
    speed = np.linalg.norm(np.diff(body, axis=0), axis=-1) * FPS
    assert speed.max() <= FASTEST * 1.02
    assert np.linalg.norm(body, axis=-1).max() <= REACH
    np.testing.assert_allclose(body[[0, -1]][:, [0, 21]], [REST_WRISTS] * 2, atol=1e-5)
    # Each part has a time of its own, in order, with the way to the next between them.
    assert len(staged.times) == len(rows)
    assert all(start < end for start, end in staged.times)
    assert all(b[0] - a[1] >= SHORTEST_TRAVEL_S - 2 / FPS for a, b in itertools.pairwise(staged.times))
    assert staged.times[0][0] > 0
    assert staged.times[-1][1] < duration


@pytest.mark.parametrize("gloss", ["SIMPLE", "WIFE", "DECIDE", "MOTHER"])
def test_a_time_is_that_of_the_sign(signer: PrototypeSigner, gloss: str) -> None:
    staged, sign = signer.staged([["HELLO"], [gloss], []]), signer.about(gloss).sign
    first, end = (round(second * FPS) for second in staged.times[1])
    scale = SHOULDERS * np.array([1, DEFAULT_ASPECT])
    wrists = (staged.keypoints.points[[first, end - 1]][:, [15, 16], :2] - [0.5, SHOULDER_LINE]) / scale
    np.testing.assert_allclose(wrists, sign.wrists[[0, -1]], atol=1e-5)
    assert end - first >= len(sign)


def test_hands_hold_still_while_a_word_is_shown(signer: PrototypeSigner) -> None:
    staged = signer.staged([["HELLO"], [], ["NO"]])
    first, end = (round(second * FPS) for second in staged.times[1])
    still = staged.keypoints.points[first:end]
    assert (still == still[0]).all()
    assert still[0, 16, 1] < 1  # not lowered


def test_what_cannot_be_staged(signer: PrototypeSigner) -> None:
    with pytest.raises(ValueError, match="at least one"):
        signer.staged([])
    with pytest.raises(UnknownGloss):
        signer.staged([["MOTER"]])


def test_a_video_that_nobody_watches_is_not_drawn(signer: PrototypeSigner) -> None:
    pieces = video_pieces(signer.staged([["HELLO"]]).keypoints)
    assert b"".join(itertools.islice(pieces, 2))[4:8] == b"ftyp"
    pieces.close()
    assert list(pieces) == []
