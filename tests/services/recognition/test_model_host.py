"""The host of the recogniser: replaced while it reads, broken while it reads."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from app.core.errors import DeviceFault, OutOfMemory
from app.core.settings import Settings
from app.pipeline.clip_reading import ClipReading
from app.pipeline.keypoints import Keypoints
from app.pipeline.recogniser import Recogniser
from app.services.recognition.checkpoint_store import CheckpointEntry
from app.services.recognition.scheduler import CLIP_WINDOWS, Scheduler
from tests.support.recognisers import performance
from tests.support.services import model_host

#: Frames of a clip that takes several rounds: windows of the tiny recogniser are 128 or 256 frames long.
LONG = 256 * 3 * CLIP_WINDOWS


def clip(frames: int) -> Keypoints:
    return Keypoints.at_rate(performance(frames), 25)


class Paused:
    """The network, which stops in its first call until it may go on. Remembers the windows of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Recogniser, int]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        really = Recogniser.steps

        def steps(recogniser: Recogniser, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
            self.calls.append((recogniser, len(windows)))
            self.begun.set()
            assert self.may_go_on.wait(30)
            return really(recogniser, windows)

        self.steps = steps


async def test_a_clip_finishes_on_the_recogniser_it_began_with(tiny_settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(tiny_settings.checkpoint_path, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps({**config, "model_id": "other"}))
    paused = Paused()
    async with model_host(tiny_settings) as host:
        old = host.recogniser
        began = ClipReading(old, clip(LONG))
        with patch.object(Recogniser, "steps", paused.steps), patch.object(Recogniser, "warm_up"):
            first = asyncio.create_task(host.read(began))
            await asyncio.to_thread(paused.begun.wait, 30)
            using = asyncio.create_task(host.use(CheckpointEntry("other", tmp_path / "other", "shipped")))
            paused.may_go_on.set()
            new = await using
            assert (host.recogniser, host.checkpoint) == (new, "other")
            second = ClipReading(new, clip(200))
            await asyncio.gather(first, host.read(second))
        assert {used for used, _ in paused.calls} == {old, new}
        assert [used for used, _ in paused.calls].count(old) > 1
        assert began.recognition().gloss == old.recognise(clip(LONG)).gloss
        assert second.recognition().gloss == new.recognise(clip(200)).gloss
        paused.calls.clear()
        gone = weakref.ref(old)
        del old, began
        gc.collect()
        assert gone() is None


async def test_a_window_that_does_not_fit_is_tried_in_halves_once(tiny_settings: Settings) -> None:
    sizes: list[int] = []
    really = Recogniser.steps

    def small(recogniser: Recogniser, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        sizes.append(len(windows))
        if len(windows) > CLIP_WINDOWS // 2:
            raise MemoryError
        return really(recogniser, windows)

    async with model_host(tiny_settings) as host:
        expected = host.recogniser.recognise(clip(LONG))
        reading = ClipReading(host.recogniser, clip(LONG))
        with patch.object(Recogniser, "steps", small):
            await host.read(reading)
        assert sizes[:3] == [CLIP_WINDOWS, CLIP_WINDOWS // 2, CLIP_WINDOWS // 2]
        assert reading.recognition().gloss == expected.gloss
        with patch.object(Recogniser, "steps", side_effect=MemoryError), pytest.raises(OutOfMemory):
            await host.read(ClipReading(host.recogniser, clip(LONG)))
        host.check_ready()


async def test_a_device_fault_ends_readiness_and_the_rest_of_the_clip(tiny_settings: Settings) -> None:
    broken = RuntimeError("CUDA error: an illegal memory access was encountered")
    async with model_host(tiny_settings) as host:
        with patch.object(Recogniser, "steps", side_effect=broken) as steps, pytest.raises(DeviceFault):
            await host.read(ClipReading(host.recogniser, clip(LONG)))
        assert steps.call_count == 1
        with pytest.raises(DeviceFault):
            host.check_ready()


async def test_closing_leaves_neither_a_thread_nor_a_task(tiny_settings: Settings) -> None:
    before = set(threading.enumerate())
    async with model_host(tiny_settings) as host:
        await host.read(ClipReading(host.recogniser, clip(100)))
        assert isinstance(host._scheduler, Scheduler)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("model")]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "model-scheduler"]
