"""The numbers of this process for Prometheus."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.api.dependencies import MetricsDep

router = APIRouter()


@router.get("/metrics", tags=["health"], summary="Numbers for Prometheus", response_class=PlainTextResponse)
async def metrics(metrics: MetricsDep) -> Response:
    """Prometheus text format, version 1.0.0; docs/metrics.md explains each number. Every worker process has its own."""
    metrics.refresh()
    # In a thread: the cards take their time to answer, and so does writing it all down.
    text = await asyncio.to_thread(generate_latest, metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
