"""Traces and reports of errors as their receivers get them, over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger

from app.core.settings import Settings, SettingsError
from app.core.tracing import span, trace_id, tracing
from app.main import create_app
from tests.support.collectors import Collector, collector
from tests.support.media import video

SECRET = "correct-horse-battery-staple"
CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def spans(found: Collector) -> list[dict[str, Any]]:
    sent = [json.loads(body) for path, body in found.bodies if path == "/v1/traces"]
    return [one for body in sent for r in body["resourceSpans"] for scope in r["scopeSpans"] for one in scope["spans"]]


def attributes(one: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in one["attributes"]}


async def test_a_clip_is_traced_through_its_parts(tiny_settings: Settings, database_url: str, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", frames=5).read_bytes()
    with collector() as found:
        endpoint = f"http://127.0.0.1:{found.port}"
        changes = {"otel_exporter_otlp_endpoint": endpoint, "training": True, "training_token": None}
        app = create_app(Settings(_env_file=None, **{**dict(tiny_settings), **changes, "database_url": database_url}))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
                trace, parent = CLIENT
                headers = {"traceparent": f"00-{trace}-{parent}-01", "Cookie": f"session={SECRET}"}
                answer = await client.post("/api/inference/predict?q=" + SECRET, files={"file": clip}, headers=headers)
                assert answer.status_code == 200
                assert (await client.get("/api/training/jobs")).status_code == 200
        sent = spans(found)
    of_clip = {one["name"]: one for one in sent if one["traceId"] == trace}
    request = of_clip["POST /api/inference/predict"]
    assert request["parentSpanId"] == parent
    assert attributes(request)["http.route"] == "/api/inference/predict"
    assert int(attributes(request)["http.response.status_code"]) == 200
    # A picture without a person is not given to the network.
    assert of_clip["extraction"]["parentSpanId"] == request["spanId"]
    by_id = {one["spanId"]: one for one in sent}
    parents = [by_id.get(one.get("parentSpanId", "")) for one in sent if one["name"] == "database"]
    assert any(one is not None and one["name"] == "GET /api/training/jobs" for one in parents)
    assert SECRET not in json.dumps(sent)


async def test_model_and_decoding_are_parts_of_landmarks(tiny_settings: Settings) -> None:
    from tests.support.media import npz

    with collector() as found:
        endpoint = f"http://127.0.0.1:{found.port}/"
        app = create_app(tiny_settings.model_copy(update={"otel_exporter_otlp_endpoint": endpoint}))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://glossline", timeout=60) as client:
                answer = await client.post("/api/inference/landmarks", files={"file": ("a.npz", npz())})
                assert answer.status_code == 200, answer.text
        by_name = {one["name"]: one for one in spans(found)}
    request = by_name["POST /api/inference/landmarks"]
    for part in ("model", "decoding"):
        assert by_name[part]["parentSpanId"] == request["spanId"]
        assert by_name[part]["traceId"] == request["traceId"]


def test_without_a_collector_nothing_happens() -> None:
    with tracing(Settings(_env_file=None), "1"), span("anything") as found:
        assert found is None
        assert trace_id() is None


@pytest.mark.parametrize(
    ("settings", "package", "hint"),
    [
        ({"otel_exporter_otlp_endpoint": "http://x"}, "opentelemetry.sdk.trace", "requirements-otel.txt"),
        ({"sentry_dsn": "https://key@localhost/1"}, "sentry_sdk", "requirements-sentry.txt"),
    ],
)
async def test_a_missing_package_is_named(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], package: str, hint: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    app = create_app(Settings(_env_file=None, **{**dict(tiny_settings), **settings}))
    with pytest.raises(SettingsError, match=hint):
        async with app.router.lifespan_context(app):
            pass


async def test_errors_are_reported_without_what_clients_sent(tiny_settings: Settings) -> None:
    with collector() as found:
        dsn = f"http://{'k' * 32}@127.0.0.1:{found.port}/7"
        app = create_app(Settings(_env_file=None, **{**dict(tiny_settings), "sentry_dsn": dsn}))

        async def broken() -> None:
            password = SECRET
            raise RuntimeError(f"no answer from redis://:{password}@cache:6379")

        app.add_api_route("/broken", broken, methods=["POST"])
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://glossline") as client:
                headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"a={SECRET}", "X-Request-ID": "mine"}
                answer = await client.post(f"/broken?token={SECRET}", json={"password": SECRET}, headers=headers)
                assert answer.status_code == 500
            logger.error("the model failed")
            logger.warning("not worth a report")
        sent = b"\n".join(body for path, body in found.bodies if path == "/api/7/envelope/").decode()
    events = [json.loads(line) for line in sent.splitlines() if '"event_id"' in line and '"level"' in line]
    failed, said = events
    [exception] = failed["exception"]["values"]
    assert exception["type"] == "RuntimeError"
    assert exception["value"] == "no answer from redis://:***@cache:6379"
    assert failed["tags"]["request_id"] == "mine"
    assert "vars" not in json.dumps(failed)
    assert said["message"] == "the model failed"
    assert SECRET not in sent


async def test_a_wrong_dsn_is_named_and_not_shown(tiny_settings: Settings) -> None:
    app = create_app(Settings(_env_file=None, **{**dict(tiny_settings), "sentry_dsn": SECRET}))
    with pytest.raises(SettingsError, match="SENTRY_DSN=") as caught:
        async with app.router.lifespan_context(app):
            pass
    assert SECRET not in str(caught.value)
