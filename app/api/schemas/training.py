"""Responses of the training routes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.db.models.training import TrainingJob
from app.training.run_folder import MetricPage

State = Literal["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "lost"]


class Progress(BaseModel):
    """Progress of a job; null where not known yet."""

    step: int | None = None
    steps: int | None = None
    epoch: int | None = None
    epochs: int | None = None


class Job(BaseModel):
    """A training job. Its id is also the id of the checkpoint it makes."""

    id: str
    state: State = Field(
        description="queued, starting, running, stopping: the job is active. stopped, finished, failed, or lost: its "
        "machine is gone."
    )
    dataset: str
    config: str
    request: dict[str, Any] = Field(description="The request.")
    device: str = Field(description="cpu, or the GPUs, comma separated.")
    progress: Progress
    attempt: int = Field(description="1, plus one for each time it was resumed.")
    resumable: bool = Field(description="It ended early and has a checkpoint to resume from.")
    reason: str | None = Field(description="Why it failed, was stopped or is lost.")
    exit_code: int | None = Field(
        description="Exit code of the process; -N for signal N, null while it runs or if unknown."
    )
    log_tail: str | None = Field(description="The last lines of the log, for a job that failed.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: TrainingJob, resumable: bool) -> Job:
        columns = {name: getattr(job, name, None) for name in cls.model_fields}
        asked = {name: job.request[name] for name in ("dataset", "config")}
        return cls.model_validate({**columns, **asked, "resumable": resumable})


class Jobs(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    total: int = Field(description="Total number of jobs.")
    limit: int
    offset: int


class TrainingStatus(BaseModel):
    """Running jobs, and the available datasets and configs."""

    active: list[Job]
    places: int = Field(description="Limit of concurrent jobs, MAX_TRAINING_JOBS.")
    counts: dict[str, int] = Field(description="Jobs by state.")
    datasets: list[str] = Field(description="Available values of `dataset`.")
    configs: list[str] = Field(description="Available values of `config`.")
    config_descriptions: dict[str, str] = Field(description="What each config is for and which corpora it fits.")
    device: str | None = Field(
        description="Device that the service itself runs on; null before the recogniser is loaded."
    )
    checkpoint: str = Field(description="Id of the active checkpoint.")


class Points(BaseModel):
    """Lines that the trainer logged: `step`, `time`, losses; those with `wer` (0..1) are evaluations on dev."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lines": [{"step": 50, "ctc": 3.1, "aux": 3.4}, {"step": 50, "wer": 0.62}],
                    "next": 2,
                    "more": False,
                    "attempt": 1,
                }
            ]
        }
    )

    lines: list[dict[str, Any]]
    next: int = Field(description="Pass it as `since` to get only newer lines.")
    more: bool = Field(description="Whether more lines are available.")
    attempt: int = Field(
        description="If it has increased, start again at 0: a resumed job drops the lines that it will write again."
    )

    @classmethod
    def of(cls, found: MetricPage, attempt: int) -> Points:
        return cls(lines=found.lines, next=found.next, more=found.more, attempt=attempt)


class Log(BaseModel):
    """A part of a job's log."""

    text: str
    offset: int = Field(description="Offset of the text, in bytes.")
    next: int = Field(description="Pass it as `offset` to get only newer text.")
    size: int = Field(description="Log size in bytes.")


class Checkpoint(BaseModel):
    """A recogniser on this machine."""

    id: str
    source: Literal["shipped", "run"] = Field(description="shipped: in CHECKPOINT_DIR. run: made by a training job.")
    active: bool = Field(description="Whether it is the active one.")
    sign_language: str | None
    glosses: list[str] | None
    wer: float | None = Field(description="Word error rate on dev (0..1) when it was written, if known.")
    problem: str | None = Field(description="Why it cannot be activated; null if it can.")


class Checkpoints(BaseModel):
    checkpoints: list[Checkpoint]


class Activated(BaseModel):
    """The recogniser that is active from now on."""

    checkpoint: str
    model: str = Field(description="Its id, as in the field `model` of answers.")
    glosses: int
    sign_language: str
    live_sessions: int = Field(description="Open sessions, which finish on the recogniser they began with.")
