"""What routes need from the application they run in."""

from __future__ import annotations

from fastapi import Request

from app.monitoring.metrics import Metrics
from app.services.gate import Gate
from app.services.inference import InferenceService
from app.services.live.hub import LiveHub


def get_service(request: Request) -> InferenceService:
    service: InferenceService = request.app.state.service
    return service


def get_hub(request: Request) -> LiveHub:
    hub: LiveHub = request.app.state.live
    return hub


def get_uploads(request: Request) -> Gate:
    gate: Gate = request.app.state.uploads
    return gate


def get_metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics
