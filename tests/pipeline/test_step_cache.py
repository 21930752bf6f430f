"""Windows read through the cache are what they are when read whole, and only new frames are computed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.recogniser import Recogniser
from app.pipeline.step_cache import HEAD_FRAMES, StepCache
from tests.support.recognisers import tiny_checkpoint, varied

FRAMES = normalise(varied(400).points, 4 / 3)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser.load(tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny"))


@st.composite
def looks(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Windows as a stream asks for them: beginnings on a step that hardly ever go back, ends that go on."""
    start, end, out = 0, 0, []
    for _ in range(draw(st.integers(1, 14))):
        end = min(len(FRAMES), max(end, start) + draw(st.integers(1, 40)))
        out.append((start, end))
        latest = (end - 1) // 4
        start = 4 * draw(st.integers(min(max(0, start // 4 - 2), latest), latest)) if draw(st.booleans()) else start
    return out


@given(looks())
def test_a_window_through_the_cache_is_the_window(recogniser: Recogniser, windows: list[tuple[int, int]]) -> None:
    cache = StepCache(recogniser.step_dim)
    for start, end in windows:
        ranges = cache.ranges(start, end)
        assert all(start <= part.first < part.end <= end for part in ranges)
        rows = cache.window(start, end, ranges, recogniser.steps([FRAMES[p.first : p.end] for p in ranges]))
        whole = FRAMES[start:end]
        np.testing.assert_allclose(rows, recogniser.steps([whole])[0], atol=2e-5)
        cached, alone = recogniser.decode_steps([rows], [whole])[0], recogniser.log_probs([whole])[0]
        np.testing.assert_allclose(np.exp(cached.log_probs), np.exp(alone.log_probs), atol=2e-3)
        np.testing.assert_allclose(cached.rgb, alone.rgb, atol=1e-6)


def test_looks_that_grow_compute_only_what_is_new(recogniser: Recogniser) -> None:
    cache = StepCache(recogniser.step_dim)
    computed = 0
    for end in range(8, 129, 8):
        ranges = cache.ranges(0, end)
        cache.window(0, end, ranges, recogniser.steps([FRAMES[p.first : p.end] for p in ranges]))
        if end > 48:
            computed += sum(part.end - part.first for part in ranges)
    assert computed <= 10 * 28  # of 10 * 92 on average
    # The next window begins later: its own first steps, and the newest frames.
    assert [p.end - p.first for p in cache.ranges(56, 136)][1:] == [HEAD_FRAMES]
