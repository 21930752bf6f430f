"""The WebSocket door of live speech: sound in, JSON events out."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from app.api.captions_ws import WebSocketDoor, converse
from app.api.dependencies import services_of
from app.services.speech.live.commands import MAX_MESSAGE, parse_binary, parse_text

router = APIRouter()
PATH = "/api/ws/speech"


@router.websocket(PATH)
async def stream(websocket: WebSocket) -> None:
    """Live speech; the messages are described in docs/speech.md."""
    door = WebSocketDoor(websocket, parse_text, parse_binary, MAX_MESSAGE)
    await converse(websocket, door, services_of(websocket.scope).live_speech)
