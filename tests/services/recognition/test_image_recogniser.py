"""A service whose recogniser reads pictures beside landmarks, on the project's own videos through real MediaPipe."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import websockets

from app.cli.caption import caption_files
from app.core.errors import DeviceFault, OutOfMemory
from app.core.settings import Settings
from app.main import create_app
from app.pipeline.image_reader import ImageReader
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import Frame, VideoLimits, read_frames
from app.pipeline.recogniser import Recogniser
from app.services.recognition.checkpoint_store import CheckpointEntry
from app.signer import SAMPLES
from app.signer.render import sample_name
from tests.api.test_captions_ws import Client
from tests.support.image_recognisers import image_checkpoint
from tests.support.services import clip_service
from tests.support.serving import served

pytestmark = pytest.mark.slow
VIDEO = SAMPLES / sample_name(("HELLO",))


@pytest.fixture(scope="module")
def settings(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("pictured")
    image_checkpoint(folder / "rgb")
    image_checkpoint(folder / "hands", hands=True)
    return tiny_settings.model_copy(update={"checkpoint_dir": folder, "checkpoint": "rgb"})


def film() -> list[Frame]:
    return list(read_frames(VIDEO, VideoLimits()))


@pytest.fixture(scope="module")
def seen(settings: Settings) -> Keypoints:
    """The video as its recogniser sees it, without a service."""
    reader = ImageReader.of(Recogniser.load(settings.checkpoint_path))
    assert reader is not None
    with MediaPipeEngine(1) as engine, closing(engine.open()) as track:
        return find_landmarks(film(), track, reader.push)


async def test_a_video_is_read_with_its_pictures_and_landmarks_without(settings: Settings, seen: Keypoints) -> None:
    expected = Recogniser.load(settings.checkpoint_path).recognise(seen)
    assert expected.attention["rgb"] > 0.02
    async with clip_service(settings) as (service, _):
        by_file = await service.process_video(VIDEO)
        by_frames = await service.process_frames(iter(film()))
        alone = await service.process_landmarks(Keypoints(seen.points, seen.times, seen.aspect))
    for outcome in (by_file, by_frames):
        assert outcome.recognition.gloss == expected.gloss != []
        assert outcome.recognition.attention == pytest.approx(expected.attention, abs=1e-4)
    assert alone.recognition.attention == {"rgb": 0.0, "pose": 1.0}


def test_the_command_line_reads_pictures_too(settings: Settings, seen: Keypoints) -> None:
    ((caption,), sign_language) = caption_files([VIDEO], settings)
    assert sign_language == "ase"
    assert not isinstance(caption, str)
    expected = Recogniser.load(settings.checkpoint_path).recognise(seen)
    assert caption.attention == pytest.approx(expected.attention, abs=1e-4)


async def test_who_saw_the_pictures_reads_them_though_another_has_taken_over(settings: Settings) -> None:
    """The two recognisers look at other pictures: what one made of them means nothing to the other."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[Frame]:
        for number, frame in enumerate(film()):
            if number == 5:
                begun.set()
                go_on.wait(60)
            yield frame

    async with clip_service(settings) as (service, host):
        first = asyncio.create_task(service.process_frames(slowly()))
        await asyncio.to_thread(begun.wait, 60)
        await host.use(CheckpointEntry("hands", settings.checkpoint_dir / "hands", "shipped"))
        go_on.set()
        second = await service.process_frames(iter(film()))
        assert (await first).model == "rgb"
        assert second.model == "hands"
        assert (await first).recognition.attention["rgb"] > 0.02


@pytest.mark.parametrize(
    ("problem", "becomes"),
    [(MemoryError(), OutOfMemory), (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceFault)],
)
async def test_what_the_encoder_says_of_the_device_is_told(
    settings: Settings, problem: Exception, becomes: type[Exception]
) -> None:
    async with clip_service(settings) as (service, host):
        with patch.object(Recogniser, "encode_images", side_effect=problem), pytest.raises(becomes):
            await service.process_video(VIDEO)
        assert (host.device.fault is not None) == (becomes is DeviceFault)


async def test_a_live_camera_is_read_with_its_pictures(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), served(app) as host:
        async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
            client = Client(socket)
            await client.send(type="start", endpoint_ms=5000)
            ready = await client.until("ready")
            session = app.state.services.captions._entries[ready["session_id"]].session
            for sent, frame in enumerate(film()[:40], start=1):
                _, jpeg = cv2.imencode(".jpg", frame.rgb[:, :, ::-1])
                await client.picture(jpeg.tobytes(), round(frame.time_s * 1e6))
                while session.counters.received < sent or session.images_waiting:  # noqa: ASYNC110 - no event of its own
                    await asyncio.sleep(0.01)
            await client.send(type="stop")
            await client.until("done")
        spoken = [event for event in client.events if event["type"] in ("partial", "final")]
        assert spoken[-1]["attention"]["rgb"] > 0.02
        assert spoken[-1]["attention"]["rgb"] + spoken[-1]["attention"]["pose"] == pytest.approx(1)
        async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
            client = Client(socket)
            await client.perform(60)
            await client.send(type="stop")
            await client.until("done")
        spoken = [event for event in client.events if event["type"] in ("partial", "final")]
        assert spoken
        assert all(event["attention"] == {"rgb": 0.0, "pose": 1.0} for event in spoken)


async def test_a_live_session_ends_when_the_encoder_fails(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), served(app) as host:
        with patch.object(Recogniser, "encode_images", side_effect=MemoryError()):
            async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
                client = Client(socket)
                _, jpeg = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))
                await client.picture(jpeg.tobytes(), 0)
                assert await client.closed() == 1011
    assert client.events[-1]["code"] == "internal_error"
