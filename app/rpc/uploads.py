"""Whole clips are read only where there is room for them; gRPC by itself takes in every message before it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from app.core.errors import MalformedRequest, NotReady, UploadTimeout
from app.core.limits import ConcurrencyLimit
from app.rpc.calls import Calls, Context
from app.services.container import Services

#: A message that is not whole after so long is given up; how far it has come is not to be seen.
UPLOAD_S = 300.0

Method = Callable[[Any, Context], Awaitable[Any]]


class RoomFirst(grpc.aio.ServerInterceptor):
    """Serves the unary methods of one service as if their request were a stream of one message, which is the same on
    the wire: then the message is not taken from the network before it is asked for."""

    def __init__(self, name: str, services: Services, calls: Calls) -> None:
        self._prefix = f"/{name}/"
        self._services, self._calls = services, calls
        self._room = ConcurrencyLimit(services.settings.max_concurrent_requests, "uploads")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or handler.unary_unary is None or not path.startswith(self._prefix):
            return handler
        return grpc.stream_unary_rpc_method_handler(
            self._when_there_is_room(path.removeprefix(self._prefix), handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _when_there_is_room(self, name: str, method: Method) -> Method:
        async def answer(_: object, context: Context) -> Any:
            async with self._calls.call(context, name):
                self._check_open()
                with self._room.enter():
                    return await method(await _message(context), context)

        return answer

    def _check_open(self) -> None:
        if self._services.captions.draining:
            raise NotReady
        self._services.clips.check_ready()


async def _message(context: Context) -> Any:
    """The one message of the call. Raises UploadTimeout, MalformedRequest."""
    reading = asyncio.ensure_future(context.read())
    await asyncio.wait({reading}, timeout=UPLOAD_S)  # not cancelled after that: gRPC ends it with the call
    if not reading.done():
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise UploadTimeout(f"The message was not whole after {UPLOAD_S:g} seconds. Send it over a better connection.")
    try:
        message = reading.result()
    except DecodeError:
        raise MalformedRequest("The message is not the one this method takes.") from None
    if message is grpc.aio.EOF:
        raise MalformedRequest("The call has no message.")
    return message
