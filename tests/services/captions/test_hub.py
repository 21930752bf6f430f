"""Sessions without a socket: turns at the model, quiet clients, gaps, what a stuck or failing model leaves behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Close, ServiceError, UnknownSession
from app.core.settings import Settings
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream, StreamConfig
from app.services.captions import hub as hub_module
from app.services.captions.commands import Landmarks, Picture, Start
from app.services.captions.session import LiveSession
from app.services.conversation.commands import Resume
from tests.support.graphs import PerformingGraphs
from tests.support.hosting import running
from tests.support.media import jpeg
from tests.support.recognisers import performance
from tests.support.streams import push


@pytest.fixture(scope="module")
def recogniser(tiny_checkpoints: Path) -> Recogniser:
    return Recogniser.load(tiny_checkpoints / "tiny")


async def events(session: LiveSession) -> list[dict[str, Any]]:
    return [(await session.outbox.next()).model_dump() for _ in range(session.outbox.waiting)]


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
            push(stream, frame, i / 25)
        alone.append([s.gloss for s in stream.finish().segments])
    async with running(recogniser, tiny_settings) as hub:
        sessions = [await hub.open(Start(endpoint_ms=10_000)) for _ in tracks]
        for first in range(0, 100, 20):
            for session, track in zip(sessions, tracks, strict=True):
                session.take(Landmarks(track[first : first + 20]))
            await asyncio.sleep(0)
        await asyncio.gather(*(session.finish() for session in sessions))
        together = [
            [g["gloss"] for e in await events(session) if e["type"] == "final" for g in e["gloss"]]
            for session in sessions
        ]
    assert together == alone
    assert any(alone)


@pytest.mark.asyncio
async def test_silence_and_age_end_a_session_with_their_codes(
    recogniser: Recogniser, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        quiet = await hub.open(Start())
        await until(lambda: quiet.failed is not None)
        assert quiet.failed is not None
        assert quiet.failed.close is Close.IDLE
    monkeypatch.setattr(hub_module, "IDLE_S", 60)
    monkeypatch.setattr(hub_module, "MAX_SESSION_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        old = await hub.open(Start())
        await until(lambda: old.failed is not None)
        assert old.failed is not None
        assert old.failed.close is Close.TOO_LONG


@pytest.mark.asyncio
async def test_a_session_waits_for_its_client_only_so_long_and_only_while_there_is_room(
    recogniser: Recogniser, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(recogniser, tiny_settings.model_copy(update={"max_clients": 1})) as hub:
        first = await hub.open(Start())
        with pytest.raises(ServiceError) as full:
            await hub.open(Start())
        assert full.value.close is Close.FULL
        hub.lost(first, hub.connection_of(first))
        await hub.open(Start())
        await until(lambda: hub.active == 1)
        with pytest.raises(UnknownSession):
            hub.resume(Resume(session_id=first.id, token=first.token))
    monkeypatch.setattr(hub_module, "RESUME_S", 0.1)
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start())
        hub.lost(session, hub.connection_of(session))
        await until(lambda: hub.active == 0)


@pytest.mark.asyncio
async def test_a_resume_needs_the_token(recogniser: Recogniser, tiny_settings: Settings) -> None:
    async with running(recogniser, tiny_settings) as hub:
        session = await hub.open(Start())
        for token in ("guess", "é", "\N{SNOWMAN}"):
            with pytest.raises(UnknownSession):
                hub.resume(Resume(session_id=session.id, token=token))
        assert hub.resume(Resume(session_id=session.id, token=session.token)) is session


@pytest.mark.asyncio
@pytest.mark.parametrize("jammed", [False, True], ids=["a busy camera", "a camera whose graph hangs"])
async def test_draining_a_camera_that_never_stops_gives_its_last_sentence_then_closing(
    recogniser: Recogniser, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, jammed: bool
) -> None:
    graphs = PerformingGraphs(seconds=0.05)
    picture = Picture(jpeg(64, 64))
    happened: list[Any] = []
    async with running(recogniser, tiny_settings, graphs) as hub:
        session = await hub.open(Start(endpoint_ms=10_000))
        connection = hub.connection_of(session)
        shown = asyncio.Event()

        async def film() -> None:
            while True:
                session.take(picture)
                await asyncio.sleep(0.01)

        async def read() -> None:
            while True:
                happened.append(await session.outbox.next())
                if happened[-1].type == "partial" and happened[-1].gloss:
                    shown.set()
                if happened[-1].type == "closing":  # the client leaves, a little later
                    await asyncio.sleep(0.5)
                    hub.lost(session, connection)

        work = [asyncio.create_task(film()), asyncio.create_task(read())]
        async with asyncio.timeout(60):
            await shown.wait()
            if jammed:
                graphs.go_on.clear()
                monkeypatch.setattr(hub_module, "FINISH_S", 4.0)
            else:
                monkeypatch.setattr(hub_module, "FINISH_S", 60.0)
                # No image has to be given up: no more of them are taken, so those that wait come to an end.
                monkeypatch.setattr(session, "_abandon_images", lambda: None)
            await hub.drain()
        graphs.go_on.set()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    kinds = [event.type for event in happened]
    assert kinds[kinds.index("closing") - 1] == "final"
    assert {"partial", "final"}.isdisjoint(kinds[kinds.index("closing") :])


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
            session = await hub.open(Start())
            session.take(Landmarks(track))
            await session.finish()
            alone[recogniser] = said(await events(session))
    assert alone[old] != alone[new] != []

    async with running(old, tiny_settings) as hub:
        before = await hub.open(Start())
        before.take(Landmarks(track[:50]))
        await asyncio.sleep(0)
        hub._host.recogniser = new  # type: ignore[misc]
        after = await hub.open(Start())
        after.take(Landmarks(track))
        before.take(Landmarks(track[50:]))
        await asyncio.gather(before.finish(), after.finish())
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
