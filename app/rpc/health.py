"""The standard health service: SERVING while a request would be served.

The one of grpcio-health-checking writes to watchers while it holds the lock that setting a status needs, so a watcher
that does not read would block all the others.
"""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.core.errors import ServiceError
from app.rpc.calls import Context
from app.services.container import Services

SERVICE = "glossline.v1.Captioner"
#: Watchers are notified of a change within this time (seconds).
LOOK_S = 0.5

_Answer = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    def _status(self, name: str) -> int:
        if name not in ("", SERVICE):
            return _Answer.SERVICE_UNKNOWN
        try:
            self._services.host.check_ready()
        except ServiceError:
            return _Answer.NOT_SERVING
        return _Answer.NOT_SERVING if self._services.captions.draining else _Answer.SERVING

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        status = self._status(request.service)
        if status == _Answer.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no service '{request.service[:80]}' here.")
        return _Answer(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        sent: int | None = None
        while True:
            status = self._status(request.service)
            if status != sent:
                await context.write(_Answer(status=status))
                sent = status
            await asyncio.sleep(LOOK_S)
