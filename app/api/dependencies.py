"""What routes need from the application they run in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection
from starlette.types import Scope

from app.api.uploads import Uploads
from app.core.errors import NotReady, TrainingForbidden
from app.services.container import Services
from app.services.recognition.active_checkpoint import ActiveCheckpoint
from app.services.training_jobs.service import TrainingJobs

TRAINING_OFF = "Training over HTTP is disabled on this service (TRAINING=false)."


def services_of(scope: Scope) -> Services:
    """The services behind an ASGI connection. Raises NotReady before the application has started and after its end."""
    found: Services | None = scope["app"].state.services
    if found is None:
        raise NotReady
    return found


def client_address(scope: Scope) -> str | None:
    """Where an ASGI connection comes from; None where the server does not say."""
    client = scope.get("client")
    return client[0] if client else None


def services(connection: HTTPConnection) -> Services:
    """Raises NotReady."""
    return services_of(connection.scope)


ServicesDep = Annotated[Services, Depends(services)]


def _training(services: ServicesDep) -> TrainingJobs:
    if services.training is None:
        raise TrainingForbidden(TRAINING_OFF)
    return services.training


def _checkpoint(services: ServicesDep) -> ActiveCheckpoint:
    if services.checkpoint is None:
        raise TrainingForbidden(TRAINING_OFF)
    return services.checkpoint


def _uploads(connection: HTTPConnection) -> Uploads:
    """Belong to the HTTP door, so they are not among the services."""
    uploads: Uploads = connection.app.state.uploads
    return uploads


TrainingDep = Annotated[TrainingJobs, Depends(_training)]
CheckpointDep = Annotated[ActiveCheckpoint, Depends(_checkpoint)]
UploadsDep = Annotated[Uploads, Depends(_uploads)]
