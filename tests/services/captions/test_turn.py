"""Turns of several live sessions read together: faults stay with the session whose fault they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.streaming import CaptionStream
from app.services.captions.turn import LiveTurn
from app.services.recognition.device_faults import Device
from app.services.recognition.windows import WindowReader
from tests.support.recognisers import performance


@pytest.fixture(scope="module")
def recogniser(tiny_checkpoints: Path) -> Recogniser:
    return Recogniser.load(tiny_checkpoints / "tiny")


def test_out_of_memory_halves_the_batch_and_spares_the_others(recogniser: Recogniser) -> None:
    class Small:
        def __init__(self) -> None:
            self.calls: list[int] = []
            self.whole = self

        def __getattr__(self, name: str) -> Any:
            return getattr(recogniser, name)

        def steps(self, windows: list[np.ndarray]) -> list[np.ndarray]:
            self.calls.append(len(windows))
            if len(windows) > 2:
                raise MemoryError
            return recogniser.steps(windows)

        def decode_steps(self, steps: list[np.ndarray], windows: list[np.ndarray]) -> list[WindowOutput]:
            return recogniser.decode_steps(steps, windows)

    small = Small()
    reader = WindowReader(Device(), lambda stage, seconds: None, lambda windows: None)
    streams = [CaptionStream(small) for _ in range(4)]  # type: ignore[arg-type]
    times = [i / 25 for i in range(20)]
    turns = [LiveTurn(s, performance(20, i), times) for i, s in enumerate(streams)]
    reader.run(turns)
    assert small.calls == [4, 2, 2]
    assert all(isinstance(turn.outcome, list) for turn in turns)


def test_one_stream_that_cannot_go_on_fails_alone(recogniser: Recogniser) -> None:
    good, bad = CaptionStream(recogniser), CaptionStream(recogniser)
    first = LiveTurn(good, performance(10), [i / 25 for i in range(10)])
    second = LiveTurn(bad, performance(2), [1.0, 0.5])
    WindowReader(Device(), lambda stage, seconds: None, lambda windows: None).run([first, second])
    assert isinstance(first.outcome, list)
    assert isinstance(second.outcome, ValueError)


def test_a_turn_without_new_frames_or_windows_is_over(recogniser: Recogniser) -> None:
    stream = CaptionStream(recogniser)
    idle = LiveTurn(stream, np.zeros((0, 75, 3), np.float32), [])
    WindowReader(Device(), lambda stage, seconds: None, lambda windows: None).run([idle])
    assert idle.outcome == []
