"""Answers of the health routes: liveness, readiness, load, checkpoints."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.monitoring.summary import Distribution


class Health(BaseModel):
    """Overall health."""

    status: Literal["healthy", "starting", "unhealthy"] = Field(description="`healthy` when requests are being served.")
    gpu_available: bool = Field(description="Whether PyTorch sees a CUDA device.")
    model_loaded: bool = Field(description="Whether the recogniser is in memory.")


class Alive(BaseModel):
    """The process responds."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Requests are being served."""

    status: Literal["ready"] = "ready"
    model: str = Field(description="Id of the loaded checkpoint.")
    device: str = Field(description="Device the recogniser runs on.")
    database: Literal["ok", "unavailable", "off"] = Field(
        description="Training needs the database, recognition does not."
    )


class Healthz(BaseModel):
    """The short form, for simple clients."""

    status: Literal["ok"] = "ok"
    model: str = Field(description="Id of the loaded checkpoint.")


class Memory(BaseModel):
    """Memory in bytes."""

    resident_bytes: int = Field(description="Memory of this process, child processes included.")
    available_bytes: int = Field(description="Memory still available on the machine.")
    total_bytes: int


class Load(BaseModel):
    """Current load and its limits."""

    requests: int = Field(description="Recognition requests running and waiting.")
    requests_limit: int = Field(description="MAX_CONCURRENT_REQUESTS.")
    streams: int = Field(description="Live streams open.")
    streams_limit: int = Field(description="MAX_CLIENTS.")


class LatencySummary(BaseModel):
    """A latency distribution since the process started. Percentiles are estimated from histogram buckets."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, found: Distribution) -> LatencySummary | None:
        """None if nothing was measured yet."""
        if not found.count:
            return None
        mean, p50, p95 = (round(s * 1000, 3) for s in (found.mean, found.quantile(0.5), found.quantile(0.95)))
        return cls(count=found.count, mean_ms=mean, p50_ms=p50, p95_ms=p95)


class Frames(BaseModel):
    """Frames of live sessions since the start."""

    received: int
    used: int = Field(description="Passed to the recogniser.")
    dropped: int = Field(description="Dropped: too many at once, unreadable, or sent while paused.")


class Live(BaseModel):
    """Live captions since the start of the process."""

    sessions: int = Field(description="Open sessions, including those whose client may still resume.")
    connected: int = Field(description="Open sessions with a connected client.")
    opened: int = Field(description="Sessions since the start.")
    refused: dict[str, int] = Field(description="Clients refused a session, by reason.")
    frames: Frames
    caption_lag: LatencySummary | None = Field(
        description="From the arrival of a frame to the caption that covers it; null before the first."
    )


class System(BaseModel):
    """Versions, device, memory and load."""

    version: str
    python: str
    torch: str
    device: str | None = Field(description="Device the recogniser runs on; null before it is loaded.")
    amp: bool = Field(description="Mixed precision in use (CUDA only).")
    cpu_count: int
    load: Load
    live: Live
    stages: dict[str, dict[str, LatencySummary]] = Field(
        description="Processing time by stage and by `clip` or `live`; only stages that have run."
    )
    memory: Memory
    gpus: list[dict[str, Any]] = Field(description="One entry per NVIDIA GPU: name, memory, load, temperature.")
    uptime_s: float


class Served(BaseModel):
    """Work done by the loaded recogniser since the start."""

    clips: int
    clip_calls: int = Field(description="Calls of the model for clips.")
    clips_per_call: float = Field(description="0 before the first call.")
    windows: int = Field(description="Windows of live sessions.")
    window_calls: int = Field(description="Calls of the network for live sessions.")
    windows_per_call: float = Field(description="0 before the first call.")


class Model(BaseModel):
    """A checkpoint in CHECKPOINT_DIR."""

    id: str
    loaded: bool = Field(description="Whether this checkpoint is the active one.")
    vocabulary: str | None = Field(description="Name of the default vocabulary; known for the loaded one.")
    vocabulary_size: int | None = Field(description="Glosses of the default vocabulary; known for the loaded one.")
    glosses: int | None = Field(description="Glosses of all vocabularies; known for the loaded one.")
    sign_language: str | None = Field(description="ISO 639-3 code, `ase` for ASL; known for the loaded one.")
    served: Served | None = Field(description="Work done so far; null for checkpoints that are not loaded.")


class Models(BaseModel):
    models: list[Model]
