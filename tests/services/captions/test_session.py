"""One session without a door: what waits, what is dropped, what ends it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.core.errors import DeviceFault, Draining, Idle, InternalError, SlowReader, UnknownVocabulary
from app.core.settings import Settings
from app.pipeline.keypoints import NUM_POSE
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream
from app.services.captions.commands import ChangeVocabulary, Flush, Landmarks, Pause, Picture, Start
from app.services.captions.session import MAX_WAITING_FRAMES, RESTING_LOOK_S, LiveSession
from app.services.conversation.commands import Resume
from app.services.conversation.events import Closing, Pong
from app.services.recognition.scheduler import Client, Lane
from tests.conftest import VOCABULARIES
from tests.services.captions.test_hub import events, until
from tests.support.graphs import PerformingGraphs
from tests.support.hosting import running, scheduling
from tests.support.media import jpeg
from tests.support.recognisers import performance


@pytest.fixture(scope="module")
def recogniser(tiny_checkpoints: Path) -> Recogniser:
    return Recogniser.load(tiny_checkpoints / "tiny")


@pytest.mark.asyncio
async def test_frames_beyond_what_may_wait_are_dropped_oldest_first_and_counted(
    recogniser: Recogniser, tiny_settings: Settings
) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start())
        for _ in range(6):  # the model has no turn between: nothing is awaited
            session.take(Landmarks(performance(100)))
        kept = MAX_WAITING_FRAMES // 100 * 100  # whole messages
        assert session.counters.dropped == 600 - kept
        await session.finish()
        assert session.usage().used == kept
        assert session.usage().received == 600


@pytest.mark.asyncio
async def test_a_client_that_stops_sending_gets_what_it_signed(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start(endpoint_ms=300))
        session.take(Landmarks(performance(5)))  # too few for a look at them
        assert session.take_work() is None
        await until(lambda: session.counters.used == 5)


@pytest.mark.asyncio
async def test_a_pause_ignores_frames(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start())
        session.pause()
        session.take(Landmarks(performance(30)))
        await session.finish()
        assert (session.counters.used, session.counters.dropped) == (0, 30)


@pytest.mark.asyncio
async def test_landmarks_are_shown_twelve_times_a_second_and_no_oftener(recogniser: Recogniser) -> None:
    now = 100.0
    async with scheduling() as scheduler:
        session = LiveSession(Start(landmarks=True), CaptionStream(recogniser), scheduler.live, now=lambda: now)
        points = performance(1)[0]
        shown = []
        for i in range(15 * 4):
            now = 100 + i / 15
            session._show_landmarks(points, i / 15)
            shown += await events(session)
    assert 11 * 4 <= len(shown) <= 12 * 4 + 1
    np.testing.assert_allclose(shown[0]["points"], points, atol=6e-4)


@pytest.mark.asyncio
async def test_somebody_at_rest_is_looked_at_now_and_then_and_the_next_hand_at_once(recogniser: Recogniser) -> None:
    lane: Lane[Client] = Lane(lambda: None)
    session = LiveSession(Start(), CaptionStream(recogniser), lane)
    looks: list[float] = []

    def send(number: int, hands: bool) -> None:
        points = performance(1)
        points[:, NUM_POSE:] *= hands
        session.take(Landmarks(points, number * 40_000))
        while lane.waiting:
            lane.pop()
            if session.take_work() is not None:
                looks.append(number / 25)
                session.on_result([])

    for number in range(250):
        send(number, hands=False)
    resting = np.diff([look for look in looks if look > 2])
    assert resting.min() >= RESTING_LOOK_S
    assert looks[-1] > 8
    for number in range(250, 300):
        send(number, hands=True)
    signing = np.diff([look for look in looks if look >= 10])
    assert signing.max() < 0.5
    assert min(look for look in looks if look >= 10) < 10.5


@pytest.mark.asyncio
async def test_commands_are_handled(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start(endpoint_ms=10_000))
        assert not session.has_input
        await session.handle(Landmarks(performance(60)))
        assert session.has_input
        await session.handle(Flush())
        await until(lambda: session.usage().segments == 1)
        await session.handle(Pause())
        await session.handle(Landmarks(performance(10)))
        await session.handle(Pause(paused=False))
        await session.handle(Landmarks(performance(10)))
        await session.finish()
        assert (session.counters.used, session.counters.dropped) == (70, 10)
        assert [e["type"] for e in await events(session)][-1] == "done"
        await session.handle(Landmarks(performance(10)))
        assert session.counters.dropped == 20


@pytest.mark.asyncio
async def test_the_first_reason_ends_a_session(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start())
        session.fail(Idle())
        session.fail(Draining())
        assert isinstance(session.failed, Idle)

        broken = await hub.open(Start())
        broken.on_result(DeviceFault())
        assert isinstance(broken.failed, InternalError)

        stalled = await hub.open(Start())
        for _ in range(1000):
            stalled.send_event(Pong())
        assert isinstance(stalled.failed, SlowReader)


@pytest.mark.asyncio
async def test_the_service_ends_a_session_with_its_final_first(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start(endpoint_ms=10_000))
        session.take(Landmarks(performance(60)))
        await session.end(Closing(), Draining(), 60)
        kinds = [e["type"] for e in await events(session)]
        assert kinds[-2:] == ["final", "closing"]
        assert isinstance(session.failed, Draining)


@pytest.mark.asyncio
async def test_an_image_overtaken_by_landmarks_is_refused_and_the_session_goes_on(
    recogniser: Recogniser, tiny_settings: Settings
) -> None:
    graphs = PerformingGraphs()
    graphs.go_on.clear()
    async with running(recogniser, tiny_settings, graphs) as hub:
        session = await hub.open(Start(endpoint_ms=10_000))
        session.take(Picture(jpeg(64, 48)))
        session.take(Landmarks(performance(60)))
        graphs.go_on.set()
        await session.finish()
        said = await events(session)
        assert [(e["code"], e["fatal"]) for e in said if e["type"] == "error"] == [("bad_timestamp", False)]
        assert [e["type"] for e in said][-2:] == ["final", "done"]
        assert (session.counters.used, session.counters.dropped) == (60, 1)
        assert session.failed is None


@pytest.fixture(scope="module")
def with_vocabularies(vocabulary_checkpoints: Path) -> Recogniser:
    return Recogniser.load(vocabulary_checkpoints / "tiny")


@pytest.mark.asyncio
async def test_another_vocabulary_is_read_from_the_next_sentence_on(
    with_vocabularies: Recogniser, tiny_settings: Settings
) -> None:
    async with running(with_vocabularies, tiny_settings) as hub:
        alone = {}
        for name in ("all", "core"):
            session = await hub.open(Start(vocabulary=name, endpoint_ms=10_000))
            session.take(Landmarks(performance(100)))
            await session.finish()
            (final,) = [e for e in await events(session) if e["type"] == "final"]
            alone[name] = final["gloss_text"]
        assert alone["all"] != alone["core"]

        session = await hub.open(Start(vocabulary="all", endpoint_ms=10_000))
        session.take(Landmarks(performance(60)))
        await session.handle(ChangeVocabulary(vocabulary="core"))  # the sentence has begun
        session.take(Landmarks(performance(100)[60:]))
        await session.handle(Flush())
        await until(lambda: session.usage().segments == 1)
        session.take(Landmarks(performance(60, 1)))
        await session.finish()
        said = await events(session)
        first, second = [e for e in said if e["type"] == "final"]
        assert (first["vocabulary"], first["gloss_text"]) == ("all", alone["all"])
        assert second["vocabulary"] == "core"
        assert {g["gloss"] for g in second["gloss"]} <= set(VOCABULARIES["core"])
        assert all(g["unsure"] for g in second["gloss"])
        changed = [e["vocabulary"] for e in said if e["type"] == "vocabulary"]
        assert changed == [{"name": "core", "glosses": 2}]


@pytest.mark.asyncio
async def test_without_a_sentence_another_vocabulary_is_read_at_once(
    with_vocabularies: Recogniser, tiny_settings: Settings
) -> None:
    async with running(with_vocabularies, tiny_settings) as hub:
        session = await hub.open(Start(vocabulary="all", endpoint_ms=10_000))
        await session.handle(ChangeVocabulary(vocabulary=["you", "NAME"]))
        session.take(Landmarks(performance(100)))
        await session.finish()
        (final,) = [e for e in await events(session) if e["type"] == "final"]
        assert final["vocabulary"] == "custom"
        assert {g["gloss"] for g in final["gloss"]} <= {"YOU", "NAME"}


@pytest.mark.asyncio
async def test_a_wrong_vocabulary_changes_nothing_and_resuming_keeps_the_right_one(
    with_vocabularies: Recogniser, tiny_settings: Settings
) -> None:
    async with running(with_vocabularies, tiny_settings) as hub:
        with pytest.raises(UnknownVocabulary):
            await hub.open(Start(vocabulary=[]))
        assert hub.active == 0
        session = await hub.open()
        await session.handle(ChangeVocabulary(vocabulary="core"))
        for wrong in ("cor", [], ["HELO"], ["HELLO"] * 10_000):
            with pytest.raises(UnknownVocabulary):
                await session.handle(ChangeVocabulary(vocabulary=wrong))
        hub.resume(Resume(session_id=session.id, token=session.token))
        ready = (await events(session))[0]
        assert ready["vocabulary"] == {"name": "core", "glosses": 2}
        assert ready["config"]["vocabulary"] == "core"
        assert ready["model"]["glosses"] == 5
        await session.handle(ChangeVocabulary(vocabulary=None))
        assert session.recogniser.reads == "everyday"
