"""The model's thread: reads windows of several clips or sessions together, one call of the network after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.stages import TEMPORAL, OnStage
from app.pipeline.streaming import NewFrames, WindowJob, WindowSource, add_together, run_jobs
from app.services.recognition.device_faults import Device, FaultTolerant

#: Windows in one call of the network: twice as many take 1.7 times as long.
MAX_WINDOWS = 32

#: A window and its turn.
Window = tuple[WindowSource, WindowJob]


class Turn(Protocol):
    """The windows that a client wants the network to read now. It never runs the network and never raises: a failure
    becomes its outcome. Used only by the model's thread until it is over."""

    @property
    def recogniser(self) -> Recogniser: ...

    @property
    def outcome(self) -> Any:
        """The result for the client, once there are no more windows."""
        ...

    def new_frames(self) -> NewFrames | None:
        """Frames that a stream has to take before `next_windows` is asked; asked for once, at the beginning."""
        ...

    def next_windows(self) -> Sequence[Window]:
        """The windows to read next; none when the turn is over."""
        ...

    def take(self, window: Window, output: WindowOutput) -> None:
        """The output of a window; in the order of `next_windows`."""
        ...

    def fail(self, problem: Exception) -> None:
        """End the turn: there is no output, for this reason."""
        ...


class WindowReader:
    """Runs turns. on_stage: called with the seconds of each call; on_call: with the number of its windows."""

    def __init__(self, device: Device, on_stage: OnStage, on_call: Callable[[int], object]) -> None:
        self._guarded = FaultTolerant(self._read, device)
        self._on_stage, self._on_call = on_stage, on_call

    def run(self, turns: Sequence[Turn]) -> None:
        """Run all turns to their end together. Their windows share calls of at most MAX_WINDOWS; a failing window fails
        only its own turn."""
        asked = [(turn, frames) for turn in turns if (frames := turn.new_frames()) is not None]
        for (turn, _), problem in zip(asked, add_together([frames for _, frames in asked]), strict=True):
            if problem is not None:
                turn.fail(problem)
        while windows := [(turn, window) for turn in turns for window in turn.next_windows()]:
            for first in range(0, len(windows), MAX_WINDOWS):
                part = windows[first : first + MAX_WINDOWS]
                for (turn, window), output in zip(part, self._guarded(part), strict=True):
                    if isinstance(output, Exception):
                        turn.fail(output)
                    else:
                        turn.take(window, output)

    def _read(self, windows: Sequence[tuple[Turn, Window]]) -> list[WindowOutput]:
        """One call of the network; one of each network while some turns belong to a replaced one."""
        by_network: dict[Recogniser, list[int]] = {}
        for place, (turn, _) in enumerate(windows):
            by_network.setdefault(turn.recogniser.whole, []).append(place)
        outputs: dict[int, WindowOutput] = {}
        for network, places in by_network.items():
            began = time.perf_counter()
            readers = [windows[place][0].recogniser for place in places]
            same = all(reader is readers[0] for reader in readers)
            found = run_jobs(readers[0] if same else network, [windows[place][1] for place in places])
            for place, reader, output in zip(places, readers, found, strict=True):
                outputs[place] = output if same else reader.narrow(output)
            self._on_stage(TEMPORAL, time.perf_counter() - began)
            self._on_call(len(places))
        return [outputs[place] for place in range(len(windows))]
