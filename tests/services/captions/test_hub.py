"""Sessions without a socket: turns at the model, quiet clients, gaps, what a stuck or failing model leaves behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.recogniser import Recogniser
from app.pipeline.stages import no_op_observer as no_stage
from app.pipeline.streaming import CaptionStream, StreamConfig
from app.services.captions import hub as hub_module
from app.services.captions.clock import StreamClock
from app.services.captions.commands import Close, Landmarks, LiveError, Resume, Start
from app.services.captions.hub import LiveHub
from app.services.captions.session import MAX_WAITING_FRAMES, LiveSession
from app.services.recognition.device_faults import Device
from app.services.recognition.scheduler import Scheduler
from app.services.recognition.windows import WindowReader
from tests.support.recognisers import performance


def no_call(windows: int) -> None:
    pass


@pytest.fixture(scope="module")
def recogniser(tiny_checkpoints: Path) -> Recogniser:
    return Recogniser.load(tiny_checkpoints / "tiny")


class Hosted:
    """What the hub needs of a ModelHost, around a recogniser that is loaded already."""

    def __init__(self, recogniser: Recogniser, scheduler: Scheduler, device: Device) -> None:
        self.recogniser, self.live, self.device = recogniser, scheduler.live, device


@asynccontextmanager
async def scheduling(device: Device | None = None) -> AsyncIterator[Scheduler]:
    reader = WindowReader(device or Device(), no_stage, no_call)
    with ThreadPoolExecutor(1) as model:
        scheduler = Scheduler(reader, reader, model)
        try:
            yield scheduler
        finally:
            await scheduler.close()


@asynccontextmanager
async def running(recogniser: Recogniser, settings: Settings) -> AsyncIterator[LiveHub]:
    device = Device()
    async with scheduling(device) as scheduler:
        hub = LiveHub(settings, Hosted(recogniser, scheduler, device), MediaPipeEngine(1), Metrics())  # type: ignore[arg-type]
        del recogniser  # held by the host alone
        try:
            yield hub
        finally:
            await hub.close()


async def events(session: LiveSession) -> list[dict[str, Any]]:
    return [await session.outbox.next() for _ in range(session.outbox.waiting)]


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - looks at state that has no event of its own
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_many_sessions_say_what_each_would_say_alone(recogniser: Recogniser, tiny_settings: Settings) -> None:
    tracks = [performance(100, seed) for seed in range(8)]
    alone = []
    for track in tracks:
        stream = CaptionStream(recogniser, StreamConfig(endpoint_s=10))
        for i, frame in enumerate(track):
            stream.push(frame, i / 25)
        alone.append(stream.finish().gloss)
    async with running(recogniser, tiny_settings) as hub:
        sessions = [hub.open(Start(endpoint_ms=10_000)) for _ in tracks]
        for first in range(0, 100, 20):
            for session, track in zip(sessions, tracks, strict=True):
                hub.take(session, Landmarks(track[first : first + 20]))
            await asyncio.sleep(0)
        await asyncio.gather(*(hub.finish(session) for session in sessions))
        together = [
            [g["gloss"] for e in await events(session) if e["type"] == "final" for g in e["gloss"]]
            for session in sessions
        ]
    assert together == alone
    assert any(alone)


@pytest.mark.asyncio
async def test_frames_beyond_what_may_wait_are_dropped_oldest_first_and_counted(
    recogniser: Recogniser, tiny_settings: Settings
) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = hub.open(Start())
        for _ in range(6):  # the model has no turn between: nothing is awaited
            hub.take(session, Landmarks(performance(100)))
        kept = MAX_WAITING_FRAMES // 100 * 100  # whole messages
        assert session.counters.dropped == 600 - kept
        await hub.finish(session)
        assert session.usage()["used"] == kept
        assert session.usage()["received"] == 600


@pytest.mark.asyncio
async def test_a_client_that_stops_sending_gets_what_it_signed(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = hub.open(Start(endpoint_ms=300))
        hub.take(session, Landmarks(performance(5)))  # too few for a look at them
        assert session.take_work() is None
        await until(lambda: session.counters.used == 5)


@pytest.mark.asyncio
async def test_a_pause_ignores_frames(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = hub.open(Start())
        session.paused = True
        hub.take(session, Landmarks(performance(30)))
        await hub.finish(session)
        assert (session.counters.used, session.counters.dropped) == (0, 30)


@pytest.mark.asyncio
async def test_silence_and_age_end_a_session_with_their_codes(
    recogniser: Recogniser, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        quiet = hub.open(Start())
        await until(lambda: quiet.failed is not None)
        assert quiet.failed is not None
        assert quiet.failed.close is Close.IDLE
    monkeypatch.setattr(hub_module, "IDLE_S", 60)
    monkeypatch.setattr(hub_module, "MAX_SESSION_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        old = hub.open(Start())
        await until(lambda: old.failed is not None)
        assert old.failed is not None
        assert old.failed.close is Close.TOO_LONG


@pytest.mark.asyncio
async def test_a_session_waits_for_its_client_only_so_long_and_only_while_there_is_room(
    recogniser: Recogniser, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(recogniser, tiny_settings.model_copy(update={"max_clients": 1})) as hub:
        first = hub.open(Start())
        with pytest.raises(LiveError) as full:
            hub.open(Start())
        assert full.value.close is Close.FULL
        hub.lost(first, hub.connection_of(first))
        hub.open(Start())
        await until(lambda: hub.active == 1)
        with pytest.raises(LiveError, match="no such session"):
            hub.resume(Resume(session_id=first.id, token=first.token))
    monkeypatch.setattr(hub_module, "RESUME_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        session = hub.open(Start())
        hub.lost(session, hub.connection_of(session))
        await until(lambda: hub.active == 0)


@pytest.mark.asyncio
async def test_a_resume_needs_the_token(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = hub.open(Start())
        with pytest.raises(LiveError):
            hub.resume(Resume(session_id=session.id, token="guess"))
        assert hub.resume(Resume(session_id=session.id, token=session.token)) is session


def test_the_clock_goes_forward_whatever_the_client_says() -> None:
    clock = StreamClock(25)
    assert clock.times(2, 10_000_000) == ([0.0, 0.04], False)
    assert clock.times(1, 10_080_000)[0] == pytest.approx([0.08])
    with pytest.raises(LiveError):
        clock.times(1, 10_080_000)
    (jumped,), gap = clock.times(1, 99_000_000)
    assert gap
    assert jumped == pytest.approx(0.12)
    (back,), gap = clock.times(1, 5)
    assert gap
    assert back == pytest.approx(0.16)
    assert clock.times(3, None)[0] == pytest.approx([0.20, 0.24, 0.28])


@pytest.mark.asyncio
async def test_landmarks_are_shown_twelve_times_a_second_and_no_oftener(recogniser: Recogniser) -> None:
    now = 100.0
    async with scheduling() as scheduler:
        session = LiveSession(Start(landmarks=True), CaptionStream(recogniser), scheduler.live, lambda: now)
        points = performance(1)[0]
        shown = []
        for i in range(15 * 4):
            now = 100 + i / 15
            session.show_landmarks(points, i / 15)
            shown += await events(session)
    assert 11 * 4 <= len(shown) <= 12 * 4 + 1
    np.testing.assert_allclose(shown[0]["points"], points, atol=6e-4)


def said(happened: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(g["gloss"], g["confidence"]) for e in happened if e["type"] == "final" for g in e["gloss"]]


@pytest.mark.asyncio
async def test_a_session_finishes_on_the_recogniser_it_began_with(
    tiny_checkpoints: Path, tiny_settings: Settings
) -> None:
    old, new = (Recogniser.load(tiny_checkpoints / "tiny") for _ in range(2))
    new.config = replace(new.config, model_id="new", vocabulary=("ONE", "TWO", "THREE", "FOUR", "FIVE"))
    track = performance(100)
    alone = {}
    for recogniser in (old, new):
        async with running(recogniser, tiny_settings) as hub:
            session = hub.open(Start())
            hub.take(session, Landmarks(track))
            await hub.finish(session)
            alone[recogniser] = said(await events(session))
    assert alone[old] != alone[new] != []

    async with running(old, tiny_settings) as hub:
        before = hub.open(Start())
        hub.take(before, Landmarks(track[:50]))
        await asyncio.sleep(0)
        hub._host.recogniser = new  # type: ignore[misc]
        after = hub.open(Start())
        hub.take(after, Landmarks(track))
        hub.take(before, Landmarks(track[50:]))
        await asyncio.gather(hub.finish(before), hub.finish(after))
        first, second = await events(before), await events(after)
        assert [e["model"]["id"] for e in (first[0], second[0])] == ["tiny", "new"]
        assert hub.resume(Resume(session_id=before.id, token=before.token)).recogniser is old
        assert (await events(before))[0]["model"]["id"] == "tiny"
        assert [gloss for gloss, _ in said(first)] == [gloss for gloss, _ in alone[old]]
        assert [gloss for gloss, _ in said(second)] == [gloss for gloss, _ in alone[new]]
        await hub.drop(before.id)
        gone = weakref.ref(old)
        del old, recogniser, session, before, alone
        gc.collect()
        assert gone() is None
