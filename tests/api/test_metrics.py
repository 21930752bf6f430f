"""After a known request or session, /metrics has moved by exactly what it should, and the health routes agree."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import defaultdict
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from fastapi import FastAPI

from app import __version__
from app.core.settings import Settings
from app.main import create_app
from app.pipeline.stages import STAGES
from app.signer import SAMPLES
from tests.api.test_captions_ws import address, connected, room  # noqa: F401 - fixtures
from tests.support.exposition import Moved, Series, scrape, series
from tests.support.media import jpeg, npz, video
from tests.support.problems import assert_problem

#: A figure in which MediaPipe finds a person.
SIGNING = SAMPLES / "hello.mp4"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_runs(client: httpx.AsyncClient, application: FastAPI) -> None:
    found = await scrape(client)
    host = application.state.services.host
    glosses = str(len(host.recogniser.vocabulary))
    labels = {"checkpoint": "tiny", "backend": "torch", "device": "cpu", "glosses": glosses}
    assert found[series("glossline_model_info", **labels)] == 1
    assert found[series("glossline_build_info", version=__version__, revision="")] == 1
    assert found[series("glossline_database_up")] == -1
    host.checkpoint = "another"
    try:
        again = await scrape(client)
    finally:
        host.checkpoint = "tiny"
    assert again[series("glossline_model_info", **labels)] == 0
    assert again[series("glossline_model_info", **{**labels, "checkpoint": "another"})] == 1


async def test_signs_of_clips_are_counted_with_their_confidence(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    answer = await client.post("/api/inference/landmarks", files={"file": ("a.npz", npz())})
    signs = answer.json()["segments"]
    assert signs
    moved = Moved(before, await scrape(client))
    assert moved("sign_confidence_count", source="clip") == len(signs)
    assert moved("sign_confidence_sum", source="clip") == pytest.approx(sum(s["confidence"] for s in signs), abs=0.01)
    assert moved("signs_unsure_total", source="clip") == sum(s["unsure"] for s in signs)
    assert moved("sign_confidence_count", source="live") == 0


async def test_requests_are_counted_by_route_template(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    await client.get("/api/health/live")
    await client.get("/web/no-such-file")
    await client.get("/web/nor-this")
    await client.post("/labels")
    await client.get("/nothing/here")
    await client.get("/openapi.json")
    moved = Moved(before, await scrape(client))
    for method, route, status, count in [
        ("GET", "/api/health/live", "200", 1),
        ("GET", "/web/{name}", "404", 2),
        ("POST", "/labels", "405", 1),
        ("GET", "unmatched", "404", 1),
        ("GET", "/openapi.json", "200", 1),
        ("GET", "/metrics", "200", 1),  # the scrape before
    ]:
        assert moved("http_requests_total", method=method, route=route, status=status) == count, route
        assert moved("http_request_seconds_count", method=method, route=route) == count, route


async def test_a_video_passes_all_stages(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    answer = await client.post("/api/inference/predict", files={"file": SIGNING.read_bytes()})
    assert answer.status_code == 200
    moved = Moved(before, await scrape(client))
    for stage in STAGES:
        passed = stage != "pictures"  # the tiny recogniser reads landmarks alone
        assert moved("stage_seconds_count", stage=stage, source="clip") == passed, stage
        assert (moved("stage_seconds_sum", stage=stage, source="clip") > 0) == passed, stage
        assert moved("stage_seconds_count", stage=stage, source="live") == 0, stage
    assert moved("batch_clips_count") == moved("batch_clips_sum") == 1


async def test_a_video_without_a_person_never_reaches_the_model(client: httpx.AsyncClient, tmp_path: Path) -> None:
    before = await scrape(client)
    await client.post("/api/inference/predict", files={"file": video(tmp_path / "empty.mp4").read_bytes()})
    moved = Moved(before, await scrape(client))
    counts = {stage: moved("stage_seconds_count", stage=stage, source="clip") for stage in STAGES}
    assert {stage for stage, count in counts.items() if count} == {"decode", "landmarks"}


async def test_landmarks_need_no_decoding(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    await client.post("/api/inference/landmarks", files={"file": ("clip.npz", npz())})
    moved = Moved(before, await scrape(client))
    counts = {stage: moved("stage_seconds_count", stage=stage, source="clip") for stage in STAGES}
    assert {stage for stage, count in counts.items() if count} == {"features", "temporal", "decoding", "language"}


async def test_a_live_session(client: httpx.AsyncClient, address: str) -> None:  # noqa: F811
    before = await scrape(client)
    async with connected(address) as live:
        await live.send(type="start")
        await live.until("ready")
        during = Moved(before, await scrape(client))
        assert during("live_sessions") == during("live_sessions_connected") == 1
        assert during("websocket_connections", route="/api/ws/stream") == 1
        await live.perform(120)
        await live.send(type="pause")
        await live.perform(5, start_us=10_000_000)
        await live.send(type="stop")
        usage = (await live.until("done"))["usage"]
        assert await live.closed() == 1000
    await gone(client, before)
    moved = Moved(before, await scrape(client))
    assert (usage["received"], usage["used"], usage["dropped"]) == (125, 120, 5)
    for what in ("received", "used", "dropped"):
        assert moved("live_frames_total", outcome=what) == usage[what], what
    assert moved("live_sessions_opened_total") == 1
    assert moved("live_sessions") == moved("live_sessions_connected") == 0
    assert moved("websocket_connections", route="/api/ws/stream") == 0
    assert moved("websocket_connections_opened_total", route="/api/ws/stream") == 1
    assert moved("websocket_connections_closed_total", route="/api/ws/stream", code="1000") == 1
    for kind in ("ready", "partial", "final", "done"):
        sent = sum(event["type"] == kind for event in live.events)
        assert moved("live_events_total", type=kind) == sent, kind
    looks = moved("live_caption_lag_seconds_count")
    assert 1 <= looks <= 120 // 8
    for stage in ("features", "temporal", "decoding"):
        assert moved("stage_seconds_count", stage=stage, source="live") >= 1, stage
    windows = moved("batch_windows_sum")
    assert windows >= moved("batch_windows_count") == moved("stage_seconds_count", stage="temporal", source="live")


async def gone(client: httpx.AsyncClient, before: defaultdict[Series, float]) -> None:
    """The server may be a moment behind the client with the end of a connection."""
    async with asyncio.timeout(10):
        while Moved(before, await scrape(client))(  # noqa: ASYNC110 - only a scrape can tell
            "websocket_connections", route="/api/ws/stream"
        ):
            await asyncio.sleep(0.01)


async def test_pictures_of_a_live_session_are_decoded_and_looked_at(client: httpx.AsyncClient, address: str) -> None:  # noqa: F811
    before = await scrape(client)
    async with connected(address) as live:
        for i in range(3):
            await live.send(type="frame", data=base64.b64encode(jpeg(160, 120)).decode(), timestamp=i * 40)
        await live.send(type="stop")
        await live.until("done")
    moved = Moved(before, await scrape(client))
    assert moved("stage_seconds_count", stage="decode", source="live") == 3
    assert moved("stage_seconds_count", stage="landmarks", source="live") == 3


async def test_who_gets_no_session_is_counted_with_the_reason(
    client: httpx.AsyncClient,
    application: FastAPI,
    address: str,  # noqa: F811
) -> None:
    before = await scrape(client)
    async with connected(address) as live:
        await live.send(type="start", sign_language="xxx")
        assert await live.closed() == 4400
    streams = application.state.services.captions.streams
    with patch.object(streams, "limit", 0):
        async with connected(address) as live:
            await live.send(type="start")
            assert await live.closed() == 1013
    with patch.object(application.state.services.captions, "draining", True):
        async with connected(address) as live:
            assert await live.closed() == 1012
    await gone(client, before)
    moved = Moved(before, await scrape(client))
    for reason, code in (("bad_start", "4400"), ("full", "1013"), ("draining", "1012")):
        assert moved("live_refused_total", reason=reason) == 1, reason
        assert moved("websocket_connections_closed_total", route="/api/ws/stream", code=code) == 1, code
    assert moved("live_sessions_opened_total") == 0
    assert moved("websocket_connections_opened_total", route="/api/ws/stream") == 3


async def test_the_health_routes_show_the_same_numbers(client: httpx.AsyncClient, address: str) -> None:  # noqa: F811
    async with connected(address) as live:
        await live.send(type="start")
        await live.perform(40)
        await live.send(type="stop")
        await live.until("done")
    await client.post("/api/inference/landmarks", files={"file": ("clip.npz", npz())})
    now = await scrape(client)
    since_start = Moved(type(now)(float), now)
    system = (await client.get("/api/health/system")).json()
    shown = system["live"]
    assert shown["opened"] == since_start("live_sessions_opened_total") > 0
    assert shown["frames"] == {
        what: since_start("live_frames_total", outcome=what) for what in ("received", "used", "dropped")
    }
    lag = shown["caption_lag"]
    assert lag["count"] == since_start("live_caption_lag_seconds_count")
    mean_s = since_start("live_caption_lag_seconds_sum") / lag["count"]
    assert lag["mean_ms"] == pytest.approx(mean_s * 1000, abs=1e-3)
    assert 0 < lag["p50_ms"] <= lag["p95_ms"]
    for stage, sources in system["stages"].items():
        for source, spread in sources.items():
            assert spread["count"] == since_start("stage_seconds_count", stage=stage, source=source)
    (model,) = (await client.get("/api/health/models")).json()["models"]
    served = model["served"]
    assert served["clips"] == since_start("clips_total") > 0
    assert served["clip_calls"] == since_start("batch_clips_count")
    assert served["windows"] == since_start("batch_windows_sum") > 0
    assert served["window_calls"] == since_start("batch_windows_count")
    assert served["windows_per_call"] == pytest.approx(served["windows"] / served["window_calls"], abs=0.01)


async def test_two_applications_in_one_process_share_no_numbers(tiny_settings: Settings) -> None:
    one, other = create_app(tiny_settings), create_app(tiny_settings)
    async with (
        one.router.lifespan_context(one),
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=httpx.ASGITransport(one), base_url="http://localhost") as asked,
        httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://localhost") as idle,
    ):
        for _ in range(3):
            await asked.get("/api/health/live")
        labels = {"method": "GET", "route": "/api/health/live", "status": "200"}
        nothing = type(await scrape(idle))(float)
        assert Moved(nothing, await scrape(asked))("http_requests_total", **labels) == 3
        assert Moved(nothing, await scrape(idle))("http_requests_total", **labels) == 0


async def test_switched_off(tiny_settings: Settings) -> None:
    app = create_app(tiny_settings.model_copy(update={"metrics": False}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert_problem(await client.get("/metrics"), 404, "not_found")
        assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]


async def test_a_scrape_does_not_hold_up_the_loop(client: httpx.AsyncClient, application: FastAPI) -> None:
    """Cards that take their time keep the scrape waiting, nobody else."""
    read_in: list[int] = []
    with patch("app.main.gpu_readings", lambda: read_in.append(threading.get_ident()) or []):
        app = create_app(application.state.services.settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as cards,
    ):
        await scrape(cards)
    assert read_in
    assert threading.get_ident() not in read_in
