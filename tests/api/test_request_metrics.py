"""Requests and WebSockets are counted by route and outcome, whatever becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.api.request_metrics import Measure
from app.core.settings import Settings
from app.main import create_app
from app.monitoring.metrics import Metrics
from app.monitoring.summary import value

Told = Callable[[Scope, Receive, Send], Awaitable[None]]
_EMPTY = FastAPI(openapi_url=None)


async def never() -> Message:
    raise AssertionError("nobody should ask")


async def quiet(message: Message) -> None:
    pass


async def run(app: Told, receive: Receive = never, **scope: Any) -> Metrics:
    metrics = Metrics()
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        await Measure(app, metrics)({"path": "/secret/path", "app": _EMPTY, **scope}, receive, quiet)
    return metrics


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError


async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("app", "method", "labels"),
    [
        (answer, "GET", ("GET", "unmatched", "204")),
        (answer, "MADE-UP", ("other", "unmatched", "204")),
        (fail, "POST", ("POST", "unmatched", "500")),
        (cancelled, "POST", ("POST", "unmatched", "cancelled")),
    ],
)
async def test_outcomes_of_requests(app: Told, method: str, labels: tuple[str, str, str]) -> None:
    metrics = await run(app, type="http", method=method)
    (family,) = metrics.requests.collect()
    assert [(tuple(s.labels.values()), s.value) for s in family.samples] == [(labels, 1.0)]


def talk(*events: Message, receives: int = 0, fault: type[BaseException] | None = None) -> Told:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)
        for _ in range(receives):
            await receive()
        if fault is not None:
            raise fault

    return app


ACCEPT: Message = {"type": "websocket.accept"}


@pytest.mark.parametrize(
    ("app", "heard", "code"),
    [
        (talk(ACCEPT, {"type": "websocket.close", "code": 4400}), None, "4400"),
        (talk(ACCEPT, {"type": "websocket.close"}), None, "1000"),
        (talk({"type": "websocket.close", "code": 1008}), None, "refused"),
        (talk(ACCEPT, receives=1), 1001, "1001"),
        (talk(ACCEPT, receives=1), 4321, "other"),
        (talk(ACCEPT, receives=1), None, "1005"),
        (talk(ACCEPT, fault=RuntimeError), None, "1011"),
        (talk(ACCEPT, fault=asyncio.CancelledError), None, "1006"),
    ],
)
async def test_how_a_websocket_ended(app: Told, heard: int | None, code: str) -> None:
    async def receive() -> Message:
        return {"type": "websocket.disconnect"} | ({} if heard is None else {"code": heard})

    metrics = await run(app, receive, type="websocket")
    assert value(metrics.websockets_closed.labels("unmatched", code)) == 1
    assert sum(s.value for s in metrics.websockets_closed.collect()[0].samples) == 1
    assert value(metrics.websockets_open.labels("unmatched")) == 0
    assert value(metrics.websockets.labels("unmatched")) == (code != "refused")


async def test_a_websocket_is_open_while_it_is() -> None:
    seen = []
    metrics = Metrics()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        seen.append(value(metrics.websockets_open.labels("unmatched")))

    await Measure(app, metrics)({"type": "websocket", "path": "/", "app": _EMPTY}, never, quiet)
    assert seen == [1]


async def test_a_body_refused_before_its_route_counts_there(tiny_settings: Settings) -> None:
    app = create_app(tiny_settings)
    scope = {
        "type": "http", "method": "POST", "path": "/api/inference/predict", "query_string": b"",
        "headers": [(b"content-length", b"99999999999")],
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        await app(scope, never, quiet)
        requests = app.state.services.metrics.requests
    assert value(requests.labels("POST", "/api/inference/predict", "413")) == 1
