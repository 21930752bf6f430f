"""The gRPC door of live captions: protocol messages in and out, an end with a status."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError
from loguru import logger

from app.core.errors import MalformedMessage, ServiceError
from app.rpc.access import principal_of
from app.rpc.calls import Context, address_of, refuse
from app.rpc.messages import command, response
from app.rpc.status import stream_status
from app.services.captions.commands import Command
from app.services.container import Services
from app.services.conversation.commands import Stop
from app.services.conversation.conversation import ClientDisconnected, Conversation
from app.services.conversation.events import Event

T = TypeVar("T")

#: gRPC reports the end of the requests of a cancelled stream a moment before it reports the cancellation.
CANCEL_TOLD_S = 0.1
#: Seconds to wait for the final status, which is queued behind events that the client has not read.
END_S = 5.0


async def converse(context: Context, services: Services) -> None:
    """One StreamCaptions call from beginning to end. Raises AbortError when it ends with another status than OK."""
    door = RpcDoor(context)
    address, recheck = address_of(context.peer()), services.access.recheck
    who = partial(principal_of, context, services)
    talk = asyncio.create_task(Conversation(door, services.captions, address, who=who, recheck=recheck).run())
    try:
        await asyncio.shield(talk)
    except asyncio.CancelledError:  # how gRPC reports that the client is gone
        door.hang_up()
        await talk
        raise
    if door.end is not None:
        ending = _task(refuse(context, door.end, status=stream_status(door.end)))
        await asyncio.wait({ending}, timeout=END_S)
        if ending.done():
            ending.result()


class RpcDoor:
    """A Door (see conversation.py). Reads and writes run in tasks of their own, one of each kind, which are never
    cancelled: gRPC cannot undo an operation that has begun, and a message being read would be lost."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._gone = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[Any] | None = None
        self._writing: asyncio.Task[None] | None = None
        self.end: ServiceError | None = None

    def hang_up(self) -> None:
        """The client is gone: end what waits for it."""
        if not self._gone.done():
            self._gone.set_result(None)

    async def receive(self) -> Command:
        if self._reading is None:
            self._reading = _task(self._context.read())
        try:
            message = await self._unless_gone(self._reading)
        except DecodeError:
            self._reading = None
            raise MalformedMessage("The message is not a StreamCaptionsRequest.") from None
        if message is grpc.aio.EOF:
            await asyncio.wait({self._gone}, timeout=CANCEL_TOLD_S)
            if self._gone.done():
                raise ClientDisconnected(clean=False)
            return Stop()
        self._reading = None
        return command(message)

    async def send(self, event: Event) -> None:
        if self._writing is not None:  # its sender has stopped waiting; it is sent all the same
            await self._unless_gone(self._writing)
        self._writing = _task(self._context.write(response(event)))
        await self._unless_gone(self._writing)
        self._writing = None

    async def close(self, problem: ServiceError | None) -> None:
        self.end = problem

    async def _unless_gone(self, work: asyncio.Task[T]) -> T:
        await asyncio.wait({work, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if self._gone.done():
            raise ClientDisconnected(clean=False)
        try:
            return work.result()
        except grpc.aio.BaseError as broken:
            logger.debug("live stream broke: {}", broken)
            raise ClientDisconnected(clean=False) from broken


def _task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task whose exception need not be retrieved."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
