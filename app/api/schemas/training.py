"""The shapes of answers about training, as they stand in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.db.models.training import TrainingJob
from app.services.training_jobs.job_log import LogChunk
from app.training.run_folder import MetricPage

State = Literal["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "lost"]


class Progress(BaseModel):
    """How far a job is; what is not known yet is null."""

    step: int | None = None
    steps: int | None = None
    epoch: int | None = None
    epochs: int | None = None


class Job(BaseModel):
    """A training job. Its id is also the id of the checkpoint it makes."""

    id: str
    state: State = Field(
        description="queued, starting, running, stopping: it holds a place. stopped, finished, failed, or lost: its "
        "machine is gone."
    )
    dataset: str
    config: str
    request: dict[str, Any] = Field(description="What was asked for.")
    device: str = Field(description="cpu, or the cards, comma separated.")
    progress: Progress
    attempt: int = Field(description="1, and one more each time it was resumed.")
    resumable: bool = Field(description="It ended early, and there is a checkpoint to go on from.")
    reason: str | None = Field(description="Why it failed, was stopped or is lost.")
    exit_code: int | None = Field(description="Of the process; -N for signal N, null while it runs or if unknown.")
    log_tail: str | None = Field(description="The last lines of the log, for a job that failed.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: TrainingJob, resumable: bool) -> Job:
        return cls.model_validate(
            {
                **{
                    name: getattr(job, name)
                    for name in cls.model_fields
                    if name not in ("dataset", "config", "resumable")
                },
                "dataset": job.request["dataset"],
                "config": job.request["config"],
                "resumable": resumable,
            }
        )


class Jobs(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    total: int = Field(description="Jobs there are in all.")
    limit: int
    offset: int


class TrainingStatus(BaseModel):
    """What trains now, and what may be asked for."""

    active: list[Job]
    places: int = Field(description="Jobs that may run at once, MAX_TRAINING_JOBS.")
    counts: dict[str, int] = Field(description="Jobs by state.")
    datasets: list[str] = Field(description="Names to give as `dataset`.")
    configs: list[str] = Field(description="Names to give as `config`.")
    config_descriptions: dict[str, str] = Field(description="What each config is for and which corpora it fits.")
    device: str | None = Field(description="What the service itself answers on; null before it is loaded.")
    checkpoint: str = Field(description="Id of the checkpoint that answers.")


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
    next: int = Field(description="Give it as `since` to get only what comes after.")
    more: bool = Field(description="There are more lines already.")
    attempt: int = Field(description="When it has grown, begin at 0: a resumed job drops the lines it writes again.")

    @classmethod
    def of(cls, found: MetricPage, attempt: int) -> Points:
        return cls(lines=found.lines, next=found.next, more=found.more, attempt=attempt)


class Log(BaseModel):
    """A part of a job's log."""

    text: str
    offset: int = Field(description="Where the text begins, in bytes.")
    next: int = Field(description="Give it as `offset` to get only what comes after.")
    size: int = Field(description="Bytes there are.")

    @classmethod
    def of(cls, piece: LogChunk) -> Log:
        return cls(text=piece.text, offset=piece.offset, next=piece.end, size=piece.size)


class Checkpoint(BaseModel):
    """A recogniser on this machine."""

    id: str
    source: Literal["shipped", "run"] = Field(description="shipped: in CHECKPOINT_DIR. run: made by a training job.")
    active: bool = Field(description="Is it the one that answers?")
    sign_language: str | None
    glosses: list[str] | None
    wer: float | None = Field(description="Word error rate on dev (0..1) when it was written, where it is known.")
    problem: str | None = Field(description="Why it cannot be activated; null if nothing speaks against it.")


class Checkpoints(BaseModel):
    checkpoints: list[Checkpoint]


class Activated(BaseModel):
    """The recogniser that answers from now on."""

    checkpoint: str
    model: str = Field(description="What answers call it.")
    glosses: int
    sign_language: str
    live_sessions: int = Field(description="Sessions that were open, and finish on the recogniser they began with.")
