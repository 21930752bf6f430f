"""The WebSocket door of live speech: sound in, JSON events out."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from app.api.access import socket_credentials, socket_principal
from app.api.captions_ws import SUBPROTOCOL, WebSocketDoor
from app.api.dependencies import client_address, services_of
from app.core.principal import Principal
from app.services.conversation.conversation import Conversation
from app.services.speech.live.commands import MAX_MESSAGE, parse_binary, parse_text

router = APIRouter()
PATH = "/api/ws/speech"


@router.websocket(PATH)
async def stream(websocket: WebSocket) -> None:
    """Live speech; the messages are described in docs/speech.md."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    door, services = WebSocketDoor(websocket, parse_text, parse_binary, MAX_MESSAGE), services_of(websocket.scope)
    address = client_address(websocket.scope)

    async def who() -> Principal:
        return await socket_principal(services, socket_credentials(websocket.scope), address)

    await Conversation(door, services.live_speech, address, who=who, recheck=services.access.recheck).run()
