"""What every call has: a request id, a log line, errors as statuses, and a count of active calls."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote

import grpc
from grpc import StatusCode
from loguru import logger

from app.core.errors import InternalError, ServiceError
from app.core.logging import principal_id
from app.core.network import AddressList, is_address
from app.core.settings import Settings
from app.core.tracing import request_span
from app.monitoring.metrics import Metrics
from app.rpc.status import metadata, status_of

Context = grpc.aio.ServicerContext[Any, Any]


class ActiveCalls:
    """Not thread-safe; use from one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._inside = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def call(self, context: Context, name: str) -> AsyncIterator[None]:
        """Around a method's work: a ServiceError becomes its status; other errors become INTERNAL and are logged."""
        request_id = secrets.token_hex(8)
        began = time.perf_counter()
        said = "cancelled"
        self._inside += 1
        self._idle.clear()
        # Runs when the answer has been sent, after this block. (The stubs ask for an instance of a class of theirs.)
        context.add_done_callback(lambda _: self._left())  # type: ignore[arg-type]
        caller = principal_id.set("")  # the door that learns it sets it
        sent = {key: str(value) for key, value in context.invocation_metadata() or ()}
        with logger.contextualize(request_id=request_id), request_span(f"gRPC {name}", sent) as span:
            try:
                yield
                said = "OK"
            except ServiceError as problem:
                said = problem.code
                await refuse(context, problem, request_id)
            except grpc.aio.AbortError:
                said = context.code().name
                raise
            except Exception:  # noqa: BLE001 - the last place to answer an unexpected error without internals
                said = InternalError.code
                logger.exception("unexpected error in {}", name)
                await refuse(context, InternalError(), request_id)
            finally:
                seconds = time.perf_counter() - began
                line = logger.bind(event="grpc_call", method=name, status=said, duration_ms=round(seconds * 1000, 1))
                line.info("gRPC {} {} {:.0f} ms", name, said, seconds * 1000)
                self._metrics.grpc_calls.labels(name, said).inc()
                self._metrics.grpc_seconds.labels(name).observe(seconds)
                if span is not None:
                    span.set_attribute("rpc.method", name)
                    span.set_attribute("glossline.status", said)
                principal_id.reset(caller)

    async def wait_until_idle(self, timeout_s: float) -> None:
        """Return when no call is active, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()

    def _left(self) -> None:
        self._inside -= 1
        if self._inside == 0:
            self._idle.set()


def address_of(peer: str) -> str | None:
    """The network address in gRPC's name of a peer, such as ipv4:127.0.0.1:5000; None if there is none."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return unquote(rest).rpartition(":")[0].strip("[]")


def caller(context: Context, settings: Settings) -> str | None:
    """The client's network address: the peer's, or what a peer in TRUSTED_PROXIES says in `x-forwarded-for`."""
    peer = address_of(context.peer())
    proxies = _address_list(tuple(settings.trusted_proxies))
    if peer is None or peer not in proxies:
        return peer
    sent = [str(value) for key, value in context.invocation_metadata() or () if key == "x-forwarded-for"]
    named = [part.strip() for value in sent for part in value.split(",")]
    # From the nearest proxy backwards: the first that is no proxy; what stands before it could be written by anyone.
    found = next((address for address in reversed(named) if address not in proxies), "")
    return found if is_address(found) else peer


@functools.cache
def _address_list(entries: tuple[str, ...]) -> AddressList:
    return AddressList(entries)


async def refuse(
    context: Context, error: ServiceError, request_id: str | None = None, status: StatusCode | None = None
) -> None:
    """End the call. status: default that of the error. Raises AbortError, which gRPC expects to see."""
    identified = () if request_id is None else (("x-request-id", request_id),)
    await context.abort(status or status_of(error), error.detail, (*metadata(error), *identified))
