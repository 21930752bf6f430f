"""The camera of a session with graphs that need no MediaPipe."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.core.errors import ExtractorUnavailable, ServiceError
from app.pipeline.recogniser import Recogniser
from app.services.captions import camera as camera_module
from app.services.captions.camera import MAX_WAITING_IMAGES, Camera, FoundInImage, WaitingImage
from app.services.recognition.device_faults import Device
from tests.services.captions.test_hub import until
from tests.support.graphs import PerformingGraphs
from tests.support.media import jpeg

pytestmark = pytest.mark.asyncio


class Client:
    def __init__(self, recogniser: Recogniser) -> None:
        self.recogniser = recogniser
        self.found: list[FoundInImage] = []
        self.bad: list[ServiceError] = []
        self.failed: ServiceError | None = None
        self.read = 0

    def on_landmarks(self, found: FoundInImage) -> None:
        self.found.append(found)

    def on_bad_image(self, problem: ServiceError) -> None:
        self.bad.append(problem)

    def on_images_read(self) -> None:
        self.read += 1

    def fail(self, problem: ServiceError) -> None:
        self.failed = problem


@pytest.fixture
def client(tiny_checkpoints: Path) -> Client:
    return Client(Recogniser.load(tiny_checkpoints / "tiny"))


@pytest.fixture
def graphs() -> PerformingGraphs:
    return PerformingGraphs()


@pytest_asyncio.fixture
async def camera(client: Client, graphs: PerformingGraphs) -> AsyncIterator[Camera]:
    with ThreadPoolExecutor(2) as threads:
        camera = Camera(client, threads, graphs, Device())
        yield camera
        graphs.go_on.set()
        await camera.close()
    assert graphs.lent == 0


def image(number: int, data: bytes | None = None) -> WaitingImage:
    return WaitingImage(jpeg(64, 48) if data is None else data, float(number), 100.0 + number)


async def test_images_become_landmarks_in_their_order(client: Client, camera: Camera) -> None:
    for number in range(MAX_WAITING_IMAGES):
        assert camera.put(image(number)) == 0
    assert camera.busy
    await until(lambda: client.read > 0)
    assert not camera.busy
    assert [found.image.time_s for found in client.found] == [0, 1, 2, 3]
    assert all((f.width, f.height) == (64, 48) and f.points.shape == (75, 3) and f.rgb is None for f in client.found)


async def test_the_oldest_images_make_room_and_are_counted(
    client: Client, camera: Camera, graphs: PerformingGraphs
) -> None:
    graphs.go_on.clear()
    dropped = sum(camera.put(image(number)) for number in range(20))  # nothing is awaited: none has been begun
    assert dropped == 20 - MAX_WAITING_IMAGES == 20 - camera.waiting
    await until(lambda: camera.waiting == MAX_WAITING_IMAGES - 2)  # two are in the graph
    assert camera.clear() == MAX_WAITING_IMAGES - 2
    assert camera.busy
    graphs.go_on.set()
    await until(lambda: not camera.busy)
    assert [found.image.time_s for found in client.found] == [16, 17]


async def test_a_bad_image_is_named_and_the_next_ones_are_read(client: Client, camera: Camera) -> None:
    for data in (b"no image", b"\xff\xd8\xff", None):
        camera.put(image(0, data))
    await until(lambda: bool(client.found))
    assert [problem.code for problem in client.bad] == ["invalid_frame", "invalid_frame"]
    assert client.failed is None


async def test_a_graph_that_breaks_ends_the_session(client: Client, camera: Camera, graphs: PerformingGraphs) -> None:
    graphs.broken = True
    camera.put(image(0))
    camera.put(image(1))
    await until(lambda: client.failed is not None)
    assert isinstance(client.failed, ExtractorUnavailable)
    assert not camera.busy  # nothing waits for its images


async def test_a_crash_of_the_engine_costs_the_images_in_flight_and_no_session(
    client: Client, camera: Camera, graphs: PerformingGraphs
) -> None:
    graphs.crashes = 1
    for number in range(3):
        camera.put(image(number))
    await until(lambda: len(client.found) == 2)
    assert [problem.code for problem in client.bad] == ["invalid_frame"]
    assert client.failed is None
    assert graphs.lent == 1


async def test_an_image_that_crashes_the_engine_again_and_again_ends_its_session(
    client: Client, camera: Camera, graphs: PerformingGraphs
) -> None:
    graphs.crashes = camera_module.MAX_TRACKS_LOST + 1
    for number in range(graphs.crashes):
        camera.put(image(number))
    await until(lambda: client.failed is not None)
    assert isinstance(client.failed, ExtractorUnavailable)
    assert len(client.bad) == camera_module.MAX_TRACKS_LOST


async def test_bytes_that_are_no_image_open_no_track(client: Client, camera: Camera, graphs: PerformingGraphs) -> None:
    camera.put(image(0, b"no image"))
    await until(lambda: bool(client.bad))
    assert graphs.lent == 0


async def test_closing_waits_for_the_image_being_read_and_gives_the_graph_back(
    client: Client, graphs: PerformingGraphs
) -> None:
    with ThreadPoolExecutor(2) as threads:
        camera = Camera(client, threads, graphs, Device())
        graphs.go_on.clear()
        camera.put(image(0))
        await until(lambda: graphs.lent == 1)
        closing = asyncio.create_task(camera.close())
        await asyncio.sleep(0.05)
        graphs.go_on.set()
        await closing
    assert graphs.lent == 0


async def test_a_quiet_camera_gives_its_graph_back_and_opens_another(
    client: Client, camera: Camera, graphs: PerformingGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "QUIET_S", 0.05)
    for number in range(2):
        camera.put(image(number))
        await until(lambda seen=number: len(client.found) == seen + 1 and graphs.lent == 0)
    assert client.failed is None


class _Threads(Executor):
    """Work that fails when the test says so."""

    def __init__(self) -> None:
        self.works: list[Future[Any]] = []

    def submit(self, *_: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
        self.works.append(Future())
        return self.works[-1]


async def test_work_that_fails_while_its_session_closes_is_not_logged_as_forgotten(client: Client) -> None:
    logged: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    for steps in range(-3, 6):  # of the loop, between the failure and the cancellation
        threads = _Threads()
        camera = Camera(client, threads, PerformingGraphs(), Device())
        waiting = asyncio.create_task(camera._in_thread(lambda: None))
        await asyncio.sleep(0)
        if steps < 0:
            waiting.cancel()
            for _ in range(-steps):
                await asyncio.sleep(0)
        threads.works[0].set_exception(ValueError("bad image"))
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        camera._task.cancel()
        await asyncio.gather(camera._task, return_exceptions=True)
        del waiting, threads, camera
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert logged == []
