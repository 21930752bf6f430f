"""Captions of live sessions for others to read: OBS, a second screen, another device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from app.api.dependencies import ServicesDep, client_address
from app.api.problems import responses
from app.core import errors
from app.services.captions.events import Final, Partial
from app.services.captions.followers import Followers

router = APIRouter(tags=["live"])
PATH = "/api/live/follow"

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events `partial` and `final`; the data of each is the JSON of the live event.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get(
    PATH,
    summary="Read the captions of live sessions along",
    response_class=StreamingResponse,
    responses={**responses((errors.InvalidRequest, errors.Busy, errors.NotReady)), **_EVENTS},
)
async def follow(
    request: Request,
    services: ServicesDep,
    session: Annotated[
        str,
        Query(
            pattern=r"^[0-9a-f]{64}$",
            description="SHA-256, in hexadecimal, of the secret that the client of the sessions sends as `follow` in "
            "its `start`. Who knows it may read; it cannot be guessed, and it does not allow to caption.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ],
) -> StreamingResponse:
    """Captions as they come, of each session of this client: also of those that begin later. Nothing is kept: what came
    before is not sent."""
    followers, address = services.captions.followers, client_address(request.scope)
    followers.check(session, address)
    return StreamingResponse(
        _events(followers, session, address),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(followers: Followers, session: str, address: str | None) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for event in followers.follow(session, address):
        yield ": still here\n\n" if event is None else _written(event)


def _written(event: Partial | Final) -> str:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n"
