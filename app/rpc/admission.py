"""Which calls are let in, decided before their message is read; gRPC by itself takes in every message before it asks.

Calls that only hold a place (a message that never becomes whole, a health watcher, an idle reflection stream) give way
to new ones when the places are taken, so that no client can lock the others out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from app.core.errors import Busy, MalformedRequest, NotReady, ServiceError, UploadTimeout
from app.rpc.calls import ActiveCalls, Context, address_of, refuse
from app.rpc.status import refusal
from app.services.container import Services

#: A message that is not complete after this many seconds is given up; gRPC does not tell how much of it has arrived.
UPLOAD_S = 300.0
#: Calls that are no recognition at once: health checks and watchers, reflection.
SIDE_CALLS = 64
#: The (small) message of such a call has to arrive within this many seconds.
SIDE_MESSAGE_S = 10.0
#: A call that only holds a place can be made to give way after this many seconds.
MIN_AGE_S = 2.0

Method = Callable[[Any, Context], Awaitable[Any]]


@dataclass(eq=False, slots=True)
class _Place:
    address: str | None
    since: float
    limit: asyncio.Timeout
    settled: bool = False

    def settle(self) -> None:
        """The call has begun its work: it does not give way any more."""
        self.settled = True


class Places:
    """A number of places for calls. When all are taken, the address that holds most of them gives up its oldest one
    among those that are not settled and older than `min_age_s`. For one event loop."""

    def __init__(self, size: int, what: str, min_age_s: float = MIN_AGE_S) -> None:
        """what: is counted, for the message of a refusal."""
        self._size, self._what, self._min_age_s = size, what, min_age_s
        self._taken: set[_Place] = set()

    def __len__(self) -> int:
        return len(self._taken)

    @asynccontextmanager
    async def hold(self, address: str | None) -> AsyncIterator[_Place]:
        """A place while the block lasts. Raises Busy when there is none, and also in the block when it has to go."""
        if len(self._taken) >= self._size and not self._make_room():
            raise Busy(f"{len(self._taken)} {self._what} are open, as many as this service takes. Try again later.")
        place = None
        try:
            async with asyncio.timeout(None) as limit:
                place = _Place(address, asyncio.get_running_loop().time(), limit)
                self._taken.add(place)
                yield place
        except TimeoutError:
            if not limit.expired():
                raise
            raise Busy(f"This call gave way to others: all places for {self._what} are taken.") from None
        finally:
            self._taken.discard(place)

    def _make_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        held = Counter(place.address for place in self._taken)
        idle = [p for p in self._taken if not p.settled and now - p.since >= self._min_age_s]
        if not idle:
            return False
        leaves = max(idle, key=lambda place: (held[place.address], now - place.since))
        self._taken.discard(leaves)
        leaves.limit.reschedule(now)
        return True


class AdmissionInterceptor(grpc.aio.ServerInterceptor):
    """Serves methods with one request as if it were a stream of one message, which is the same on the wire: then the
    message is not taken from the network before it is asked for. Methods of the service `name` share the places for
    recognition, all other methods those for side calls; live streams are limited by the hub."""

    def __init__(self, name: str, services: Services, calls: ActiveCalls) -> None:
        self._prefix = f"/{name}/"
        self._services, self._calls = services, calls
        self._uploads = Places(services.settings.max_concurrent_requests, "clips")
        self._side_calls = Places(SIDE_CALLS, "health and reflection calls")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None:
            return None
        if not path.startswith(self._prefix):
            return self._side_call(handler)
        if handler.unary_unary is None:
            return handler
        return grpc.stream_unary_rpc_method_handler(
            self._clip(path.removeprefix(self._prefix), handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _clip(self, name: str, method: Method) -> Method:
        async def answer(_: object, context: Context) -> Any:
            async with self._calls.call(context, name):
                self._check_open()
                async with self._uploads.hold(address_of(context.peer())) as place:
                    message = await _message(context, UPLOAD_S)
                    place.settle()
                    return await method(message, context)

        return answer

    def _side_call(self, handler: Any) -> Any:
        async def admitted(requests: object, context: Context) -> Any:
            try:
                async with self._side_calls.hold(address_of(context.peer())):
                    if handler.request_streaming:
                        async for answer in handler.stream_stream(requests, context):
                            await context.write(answer)
                        return None
                    message = await _message(context, SIDE_MESSAGE_S)
                    return await (handler.unary_stream or handler.unary_unary)(message, context)
            except ServiceError as problem:
                await refuse(context, refusal(problem))

        as_stream = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return as_stream(admitted, handler.request_deserializer, handler.response_serializer)

    def _check_open(self) -> None:
        if self._services.captions.draining:
            raise NotReady
        self._services.clips.check_ready()


async def _message(context: Context, timeout_s: float) -> Any:
    """The one message of the call. Raises UploadTimeout, MalformedRequest."""
    reading = asyncio.ensure_future(context.read())
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({reading}, timeout=timeout_s)  # not cancelled after that: gRPC ends it with the call
    if not reading.done():
        raise UploadTimeout(
            f"The message was not complete after {timeout_s:g} seconds. Send it over a better connection."
        )
    try:
        message = reading.result()
    except DecodeError:
        raise MalformedRequest("The message is not the one this method takes.") from None
    if message is grpc.aio.EOF:
        raise MalformedRequest("The call has no message.")
    return message
