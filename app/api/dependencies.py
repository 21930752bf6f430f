"""What routes need from the application they run in."""

from __future__ import annotations

from fastapi import Request

from app.db.database import Database
from app.monitoring.metrics import Metrics
from app.services.gate import Gate
from app.services.inference import InferenceService
from app.services.live.hub import LiveHub
from app.services.switch import CheckpointSwitch
from app.services.training.jobs import TrainingJobs


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


def get_jobs(request: Request) -> TrainingJobs:
    jobs: TrainingJobs = request.app.state.training
    return jobs


def get_switch(request: Request) -> CheckpointSwitch:
    switch: CheckpointSwitch = request.app.state.switch
    return switch


def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def get_followers(request: Request) -> Gate:
    gate: Gate = request.app.state.followers
    return gate
