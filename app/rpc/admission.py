"""Which calls are admitted, decided before their message is read; gRPC by itself reads every message first.

Calls that only hold a place (an incomplete message, a health watcher, an idle reflection stream) make way for new ones
when all places are taken, so that no client can lock the others out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from app.core.errors import Busy, MalformedRequest, NotReady, ServiceError, UploadTimeout
from app.core.limits import Place, Places
from app.rpc.access import CALLER, principal_of
from app.rpc.calls import ActiveCalls, Context, caller, refuse
from app.services.container import Services

#: A message that is incomplete after this many seconds is refused; gRPC does not report how much of it has arrived.
UPLOAD_S = 300.0
#: Concurrent calls other than recognition: health checks and watchers, reflection.
SIDE_CALLS = 64
#: The (small) message of such a call has to arrive within this many seconds.
SIDE_MESSAGE_S = 10.0

Method = Callable[[Any, Context], Awaitable[Any]]


class AdmissionInterceptor(grpc.aio.ServerInterceptor):
    """Serves methods with one request as if it were a stream of one message, which is the same on the wire: then the
    message is not read from the network before it is requested. Methods of the service `name` share the places for
    recognition, all other methods those for side calls; live streams are limited by the hub."""

    def __init__(self, name: str, services: Services, calls: ActiveCalls) -> None:
        self._prefix = f"/{name}/"
        self._services, self._calls = services, calls
        clips, others = "clips", "health and reflection calls"
        self._uploads = Places(services.settings.max_concurrent_requests, clips, partial(_gave_way, clips))
        self._side_calls = Places(SIDE_CALLS, others, partial(_gave_way, others))

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
                if self._services.captions.draining:
                    raise NotReady
                self._services.clips.check_ready()
                CALLER.set(await principal_of(context, self._services))
                async with self._uploads.hold(caller(context, self._services.settings)) as place:
                    message = await _message(context, UPLOAD_S)
                    place.settled = True
                    return await method(message, context)

        return answer

    def _side_call(self, handler: Any) -> Any:
        async def admitted(requests: object, context: Context) -> Any:
            try:
                async with self._side_calls.hold(caller(context, self._services.settings)):
                    if handler.request_streaming:
                        async for answer in handler.stream_stream(requests, context):
                            await context.write(answer)
                        return None
                    message = await _message(context, SIDE_MESSAGE_S)
                    return await (handler.unary_stream or handler.unary_unary)(message, context)
            except ServiceError as problem:
                await refuse(context, problem)

        as_stream = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return as_stream(admitted, handler.request_deserializer, handler.response_serializer)


def _gave_way(what: str, place: Place) -> Busy:
    return Busy(f"This call was ended in favour of others: all places for {what} are taken.")


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
        raise MalformedRequest("The message is not of the type that this method takes.") from None
    if message is grpc.aio.EOF:
        raise MalformedRequest("The call has no message.")
    return message
