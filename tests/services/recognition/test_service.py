from __future__ import annotations

import asyncio
import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from app.core.errors import (
    Busy,
    DeviceFault,
    InvalidLandmarks,
    NotAVideo,
    NotReady,
    OutOfMemory,
    VideoTooLong,
)
from app.core.settings import Settings
from app.pipeline.checkpoint import CheckpointError
from app.pipeline.keypoints import Keypoints, joined_blocks
from app.pipeline.module1_preprocessing.video import Frame, VideoLimits
from app.pipeline.recogniser import Recogniser
from app.services.recognition import clips
from app.services.recognition.checkpoint_store import CheckpointEntry
from app.services.recognition.service import ClipService
from tests.support.graphs import PerformingGraphs
from tests.support.media import picture, signer, video
from tests.support.services import clip_service, model_host


@asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[ClipService]:
    async with clip_service(settings, **changes) as (clips, _):
        yield clips


def clip(frames: int = 40, seed: int = 0) -> Keypoints:
    return Keypoints.at_rate(joined_blocks(**signer(frames, seed)), 25.0)


def still(frames: int, pause_s: float = 0.0) -> Iterator[Frame]:
    for index in range(frames):
        time.sleep(pause_s)
        yield Frame(picture(), index / 25)


async def test_landmarks_get_the_recognisers_own_answer(tiny_settings: Settings) -> None:
    async with running(tiny_settings) as service:
        outcome = await service.process_landmarks(clip())
        expected = Recogniser.load(tiny_settings.checkpoint_path).recognise(clip())
    assert outcome.recognition.gloss == expected.gloss
    assert outcome.recognition.sentence == expected.sentence
    assert outcome.warnings == []
    assert outcome.processing_time_s > 0


async def test_concurrent_clips_share_a_call_and_keep_their_answers(tiny_settings: Settings) -> None:
    clips = [clip(frames, seed) for seed, frames in enumerate((20, 40, 64, 90))]
    sizes: list[int] = []
    steps = Recogniser.steps

    def counting(self: Recogniser, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        sizes.append(len(windows))
        return steps(self, windows)

    async with running(tiny_settings, batch_wait_ms=1000.0, max_batch=4) as service:
        with patch.object(Recogniser, "steps", counting):
            together = await asyncio.gather(*(service.process_landmarks(each) for each in clips))
        alone = [await service.process_landmarks(each) for each in clips]
    assert sizes == [4]
    assert [outcome.recognition.gloss for outcome in together] == [outcome.recognition.gloss for outcome in alone]
    assert [outcome.recognition.frame_count for outcome in together] == [20, 40, 64, 90]


async def test_a_video_without_a_person_is_an_answer_with_a_warning(tiny_settings: Settings, tmp_path: Path) -> None:
    async with running(tiny_settings) as service:
        outcome = await service.process_video(video(tmp_path / "empty_room.mp4", frames=10))
    assert outcome.recognition.gloss == []
    assert outcome.recognition.sentence == ""
    assert outcome.recognition.frame_count == 10
    assert [warning.code for warning in outcome.warnings] == ["no_person"]


async def test_frames_are_read_in_a_worker_thread(tiny_settings: Settings) -> None:
    threads = set()

    def frames() -> Iterator[Frame]:
        threads.add(threading.current_thread().name)
        yield from still(3)

    async with running(tiny_settings) as service:
        outcome = await service.process_frames(frames())
    assert outcome.recognition.frame_count == 3
    assert all(name.startswith("extract") for name in threads)


async def test_a_person_without_hands_is_said(tiny_settings: Settings) -> None:
    blocks = signer()
    blocks["left"][:] = 0
    blocks["right"][:] = 0
    async with running(tiny_settings) as service:
        outcome = await service.process_landmarks(Keypoints.at_rate(joined_blocks(**blocks), 25))
    assert [warning.code for warning in outcome.warnings] == ["no_hands"]


async def test_frame_skip_and_motion_gate_are_honoured(tiny_settings: Settings) -> None:
    async with running(tiny_settings, frame_skip=1) as service:
        assert (await service.process_frames(still(10))).recognition.frame_count == 5
    async with running(tiny_settings, motion_threshold=0.01) as service:
        assert (await service.process_frames(still(10))).recognition.frame_count == 10


async def test_cancelling_stops_the_decoder_and_frees_the_place(tiny_settings: Settings) -> None:
    read = 0
    begun, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def endless() -> Iterator[Frame]:
        nonlocal read
        try:
            for index in range(10_000):
                read += 1
                loop.call_soon_threadsafe(begun.set)
                yield Frame(picture(), index / 25)
        finally:
            ended.set()

    async with running(tiny_settings, extractor_workers=1) as service:
        work = asyncio.create_task(service.process_frames(endless()))
        await begun.wait()
        assert service.limit.in_use == 1
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert service.limit.in_use == 0
        # The only worker is free again: the next clip is served.
        assert (await service.process_frames(still(2))).recognition.frame_count == 2
        assert ended.is_set()
    assert read < 10_000


def test_a_cancelled_clip_ends_at_a_packet_that_holds_no_picture(
    tiny_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser, cancel = Recogniser.load(tiny_settings.checkpoint_path), threading.Event()

    def frames(path: Path, limits: VideoLimits, on_packet: Callable[[], object]) -> Iterator[Frame]:
        yield Frame(picture(), 0.0)
        cancel.set()
        on_packet()
        pytest.fail("the packet was decoded")

    monkeypatch.setattr(clips, "read_frames", frames)
    with pytest.raises(clips.Cancelled):
        clips.keypoints_from_video(
            tmp_path / "clip.mp4", PerformingGraphs().open(), clips.ClipOptions(tiny_settings, recogniser, cancel)
        )


async def test_one_request_too_many_is_told_busy(tiny_settings: Settings) -> None:
    go_on = threading.Event()

    def waiting() -> Iterator[Frame]:
        assert go_on.wait(60)
        yield from still(1)

    async with running(tiny_settings, extractor_workers=1, max_concurrent_requests=2) as service:
        work = [asyncio.create_task(service.process_frames(waiting())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await service.process_landmarks(clip())
        go_on.set()
        await asyncio.gather(*work)
        await service.process_landmarks(clip())


async def test_faults_of_the_pipeline_come_out_documented(tiny_settings: Settings, tmp_path: Path) -> None:
    document = tmp_path / "clip.mp4"
    document.write_bytes(b"%PDF-1.7\n" + b"x" * 2000)
    async with running(tiny_settings) as service:
        with pytest.raises(NotAVideo):
            await service.process_video(document)
        with pytest.raises(VideoTooLong, match="24"):
            await service.process_landmarks(clip(600))
        with pytest.raises(InvalidLandmarks):
            await service.process_landmarks(Keypoints(np.zeros((0, 75, 3), np.float32), np.zeros(0)))
        await service.process_landmarks(clip())


async def test_out_of_memory_and_device_faults(tiny_settings: Settings) -> None:
    async with clip_service(tiny_settings) as (service, host):
        with patch.object(Recogniser, "steps", side_effect=MemoryError), pytest.raises(OutOfMemory):
            await service.process_landmarks(clip())
        service.check_ready()
        broken = RuntimeError("CUDA error: an illegal memory access was encountered")
        with patch.object(Recogniser, "steps", side_effect=broken), pytest.raises(DeviceFault):
            await service.process_landmarks(clip())
        for part in (service, host):
            with pytest.raises(DeviceFault):
                part.check_ready()


async def test_nothing_is_served_after_the_stop(tiny_settings: Settings) -> None:
    async with clip_service(tiny_settings) as (service, host):
        service.check_ready()
        await service.close()
        with pytest.raises(NotReady):
            await service.process_landmarks(clip())
        host.check_ready()
        await host.close()
        with pytest.raises(NotReady):
            host.check_ready()


async def test_stopping_leaves_no_thread(tiny_settings: Settings) -> None:
    before = set(threading.enumerate())
    async with running(tiny_settings) as service:
        await service.process_frames(still(3))
        endless = asyncio.create_task(service.process_frames(still(10_000, pause_s=0.01)))
        await asyncio.sleep(0.1)
    left = {
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith(("extract", "model", "clip"))
    }
    assert left == set()
    assert isinstance((await asyncio.gather(endless, return_exceptions=True))[0], BaseException)


async def test_a_damaged_checkpoint_is_refused_at_start(tiny_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    (tmp_path / "tiny" / "model.safetensors").touch()
    before = set(threading.enumerate())
    with pytest.raises(CheckpointError):
        async with model_host(tiny_settings.model_copy(update={"checkpoint_dir": tmp_path})):
            pass
    assert not {thread for thread in threading.enumerate() if thread.name.startswith("model")} - before


async def test_another_checkpoint_takes_over_while_requests_come(tiny_settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_settings.checkpoint_path, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_id": "other"}))
    entry = CheckpointEntry("other", other, "shipped")
    async with clip_service(tiny_settings) as (service, host):
        models = [(await service.process_landmarks(clip())).model]
        old = weakref.ref(host.recogniser)

        async def ask() -> None:
            for _ in range(20):
                models.append((await service.process_landmarks(clip())).model)

        await asyncio.gather(ask(), host.use(entry))
        models.append((await service.process_landmarks(clip())).model)
        assert (models[0], models[-1]) == ("tiny", "other")
        assert models == sorted(models, key=["tiny", "other"].index)  # no way back
        assert host.checkpoint == "other"
        gc.collect()
        assert old() is None
        (other / "model.safetensors").write_bytes(b"damaged")
        with pytest.raises(CheckpointError):
            await host.use(entry)
        assert (await service.process_landmarks(clip())).model == "other"


async def test_a_clip_in_windows_is_the_clip_at_once(tiny_settings: Settings) -> None:
    """Longer than a window, and read a few windows at a time: the same answer as the recogniser's own."""
    async with running(tiny_settings, max_duration_s=60) as service:
        outcome = await service.process_landmarks(clip(1200))
    expected = Recogniser.load(tiny_settings.checkpoint_path).recognise(clip(1200))
    assert outcome.recognition.gloss == expected.gloss != []
    assert outcome.recognition.confidence == pytest.approx(expected.confidence, abs=1e-4)
    assert outcome.recognition.attention == pytest.approx(expected.attention)
    assert outcome.recognition.frame_count == 1200
