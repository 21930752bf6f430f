"""What routes need from the application they run in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from app.api.uploads import UploadPlaces
from app.core.limits import Gate
from app.db.database import Database
from app.monitoring.metrics import Metrics
from app.services.captions.hub import LiveHub
from app.services.recognition.active_checkpoint import CheckpointSwitch
from app.services.recognition.service import InferenceService
from app.services.training_jobs.service import TrainingJobs

T = TypeVar("T")


def _from_state(name: str, kind: type[T]) -> Callable[[Request], T]:
    """A dependency: what the application keeps in its state under `name`. kind: of it, for the types alone."""

    def get(request: Request) -> T:
        found: T = getattr(request.app.state, name)
        return found

    return get


get_service = _from_state("service", InferenceService)
get_hub = _from_state("live", LiveHub)
get_uploads = _from_state("uploads", UploadPlaces)
get_metrics = _from_state("metrics", Metrics)
get_jobs = _from_state("training", TrainingJobs)
get_switch = _from_state("switch", CheckpointSwitch)
get_database = _from_state("database", Database)
get_followers = _from_state("followers", Gate)
