"""The numbers of this process for Prometheus."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.api.access import may_watch
from app.api.dependencies import ServicesDep

router = APIRouter()


@router.get(
    "/metrics",
    tags=["health"],
    summary="Numbers for Prometheus",
    response_class=PlainTextResponse,
    dependencies=[Depends(may_watch)],
)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus text format, version 1.0.0; docs/metrics.md explains each number. Every worker process has its own."""
    services.metrics.refresh()
    # In a thread: the GPUs may take a while to answer, and so does rendering the text.
    text = await asyncio.to_thread(generate_latest, services.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
