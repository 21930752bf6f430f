"""What routes need from the application they run in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection
from starlette.types import Scope

from app.api.uploads import UploadPlaces
from app.core.errors import NotReady, TrainingForbidden
from app.core.limits import ConcurrencyLimit
from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.services.captions.hub import LiveHub
from app.services.container import Services
from app.services.recognition.active_checkpoint import ActiveCheckpoint
from app.services.recognition.model_host import ModelHost
from app.services.recognition.service import ClipService
from app.services.training_jobs.service import TrainingJobs


def services_of(scope: Scope) -> Services:
    """The services behind an ASGI connection. Raises NotReady before the application has started and after its end."""
    found: Services | None = scope["app"].state.services
    if found is None:
        raise NotReady
    return found


def services(connection: HTTPConnection) -> Services:
    """Raises NotReady."""
    return services_of(connection.scope)


ServicesDep = Annotated[Services, Depends(services)]


def _settings(services: ServicesDep) -> Settings:
    return services.settings


def _metrics(services: ServicesDep) -> Metrics:
    return services.metrics


def _host(services: ServicesDep) -> ModelHost:
    return services.host


def _clips(services: ServicesDep) -> ClipService:
    return services.clips


def _captions(services: ServicesDep) -> LiveHub:
    return services.captions


def _training(services: ServicesDep) -> TrainingJobs:
    if services.training is None:
        raise TrainingForbidden("Training over HTTP is disabled on this service (TRAINING=false).")
    return services.training


def _checkpoint(services: ServicesDep) -> ActiveCheckpoint:
    if services.checkpoint is None:
        raise TrainingForbidden("Training over HTTP is disabled on this service (TRAINING=false).")
    return services.checkpoint


def _uploads(connection: HTTPConnection) -> UploadPlaces:
    """Of the HTTP door, so they are none of the services."""
    places: UploadPlaces = connection.app.state.uploads
    return places


def _followers(services: ServicesDep) -> ConcurrencyLimit:
    return services.followers


SettingsDep = Annotated[Settings, Depends(_settings)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
HostDep = Annotated[ModelHost, Depends(_host)]
ClipsDep = Annotated[ClipService, Depends(_clips)]
CaptionsDep = Annotated[LiveHub, Depends(_captions)]
TrainingDep = Annotated[TrainingJobs, Depends(_training)]
CheckpointDep = Annotated[ActiveCheckpoint, Depends(_checkpoint)]
UploadsDep = Annotated[UploadPlaces, Depends(_uploads)]
FollowersDep = Annotated[ConcurrencyLimit, Depends(_followers)]
