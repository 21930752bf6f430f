"""The WebSocket door of live captions: JSON text and binary messages in, JSON events out, close codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from app.api.access import socket_credentials, socket_principal
from app.api.dependencies import client_address, services_of
from app.core.errors import Close, ServiceError, TooBig
from app.core.principal import Principal
from app.services.captions.commands import MAX_MESSAGE, parse_binary, parse_text
from app.services.conversation.conversation import ClientDisconnected, Conversation, Sessions
from app.services.conversation.events import Event

router = APIRouter()
SUBPROTOCOL = "glossline.v1"
PATH = "/api/ws/stream"


@router.websocket(PATH)
@router.websocket("/ws/stream")
async def stream(websocket: WebSocket) -> None:
    """Live captions; the messages are described in docs/live.md."""
    door = WebSocketDoor(websocket, parse_text, parse_binary, MAX_MESSAGE)
    await converse(websocket, door, services_of(websocket.scope).captions)


async def converse(websocket: WebSocket, door: WebSocketDoor, sessions: Sessions[Any]) -> None:
    """Accept the connection and run its conversation."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    services, address = services_of(websocket.scope), client_address(websocket.scope)

    async def who() -> Principal:
        return await socket_principal(services, socket_credentials(websocket.scope), address)

    await Conversation(door, sessions, address, who=who, recheck=services.access.recheck).run()


def close_code(problem: ServiceError | None) -> Close:
    """How a connection ends for this reason; None: the client asked for it."""
    if problem is None:
        return Close.NORMAL
    return problem.close or Close.INTERNAL


class WebSocketDoor:
    """The Door of a conversation, whatever it is about."""

    def __init__(
        self,
        websocket: WebSocket,
        parse_text: Callable[[str], Any],
        parse_binary: Callable[[bytes], Any],
        max_message: int,
    ) -> None:
        """max_message: in bytes."""
        self._ws, self._max_message = websocket, max_message
        self._parse_text, self._parse_binary = parse_text, parse_binary

    async def receive(self) -> Any:
        try:
            message = await self._ws.receive()
        except RuntimeError as broken:  # what Starlette raises for a socket that is closed already
            raise _broken(broken) from broken
        if message["type"] == "websocket.disconnect":
            raise ClientDisconnected(clean=(message.get("code") or Close.NORMAL) == Close.NORMAL)
        data, text = message.get("bytes"), message.get("text")
        if len(data if data is not None else text or "") > self._max_message:
            raise TooBig(f"A message is limited to {self._max_message} bytes.")
        return self._parse_binary(data) if data is not None else self._parse_text(text or "")

    async def send(self, event: Event) -> None:
        try:
            await self._ws.send_text(event.model_dump_json())
        except (RuntimeError, WebSocketDisconnect) as broken:
            raise _broken(broken) from broken

    async def close(self, problem: ServiceError | None) -> None:
        code = close_code(problem)
        try:
            await self._ws.close(code)
        except (RuntimeError, WebSocketDisconnect) as broken:
            raise _broken(broken) from broken


def _broken(why: Exception) -> ClientDisconnected:
    logger.debug("live connection broke: {}", why)
    return ClientDisconnected(clean=False)
