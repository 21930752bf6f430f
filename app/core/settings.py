"""Settings of the service, read from the environment and `.env`, checked once at start."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.ids import NAME
from app.core.network import AddressList, parse_host, parse_origin

MEBIBYTE = 1024 * 1024
#: Schemes of DATABASE_URL.
POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg")
_REPOSITORY = Path(__file__).resolve().parents[2]
#: Their values are never shown.
_SECRETS = ("database_url", "training_token", "sentry_dsn")


class SettingsError(RuntimeError):
    """A setting is invalid; the message names it and says what is accepted."""


def _checkpoint_id(value: str) -> str:
    """Named, never given as a path: an id can be logged, listed and requested over the network."""
    if not NAME.fullmatch(value):
        raise ValueError(
            "a checkpoint is named by its id (letters, digits, '.', '_', '-'), not by a path; "
            "set CHECKPOINT_DIR to the folder that holds it"
        )
    return value


def _device(value: str) -> str:
    value = value.strip().lower()
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value):
        raise ValueError("use 'auto', 'cpu', 'cuda' or 'cuda:N' with the number of the GPU")
    return value


class Settings(BaseSettings):
    """Settings of one service process. In the environment, the names are in upper case."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    grpc_port: int = Field(0, ge=0, le=65535, description="Port of the gRPC service on HOST; 0 or unset = no gRPC.")

    checkpoint: Annotated[str, AfterValidator(_checkpoint_id)] = Field(
        "asl-large", description="Id of the recogniser to serve: a folder in CHECKPOINT_DIR."
    )
    checkpoint_dir: Path = Field(_REPOSITORY / "checkpoints", description="Folder that holds the checkpoints.")
    device: Annotated[str, AfterValidator(_device)] = Field("auto", description="auto, cpu, cuda or cuda:N.")
    use_amp: bool = Field(True, description="bfloat16 autocast on CUDA; the CPU always computes in float32.")
    inference_backend: Literal["torch", "onnx"] = Field(
        "torch", description="torch, or onnx: the checkpoint's ONNX export on ONNX Runtime."
    )
    gloss_lm_weight: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Weight of the gloss language model, where the checkpoint has one; 0 = off, unset = its own.",
    )
    torch_threads: int | None = Field(None, ge=1, le=256, description="CPU threads of one model call; unset = 1.")

    database_url: SecretStr | None = Field(
        None, description="postgresql:// address of the database; unset = an embedded PostgreSQL in DATA_DIR."
    )
    data_dir: Path = Field(_REPOSITORY / "data", description="Folder of the embedded database.")
    training: bool = Field(True, description="Training jobs over HTTP.")
    training_token: SecretStr | None = Field(
        None, min_length=16, description="Token for training over HTTP; unset = only from this machine."
    )
    max_training_jobs: int = Field(1, ge=1, le=64, description="Training jobs at once.")
    training_stop_s: float = Field(
        20.0, gt=0, le=600, description="Seconds after which a job that is being stopped is killed."
    )
    training_nice: int = Field(10, ge=0, le=19, description="Niceness of CPU training, 0 to 19.")
    datasets_dir: Path = Field(_REPOSITORY / "datasets", description="Folder that holds the datasets, a folder each.")
    runs_dir: Path = Field(_REPOSITORY / "runs", description="Folder for training runs.")
    configs_dir: Path = Field(_REPOSITORY / "configs", description="Folder of the training configs (YAML).")

    frame_skip: int = Field(0, ge=0, le=8, description="Frames skipped after each processed frame.")
    motion_threshold: float = Field(
        0.0, ge=0.0, le=1.0, description="Image change (0..1) below which a frame reuses the last landmarks; 0 = off."
    )
    clip_length: int = Field(128, ge=16, le=512, multiple_of=4, description="Frames in a window of live captions.")
    stride: int = Field(56, ge=8, le=512, multiple_of=4, description="Frames between two windows of live captions.")

    max_upload_mb: float = Field(200.0, gt=0, le=4096, description="Largest upload, in MiB.")
    max_duration_s: float = Field(120.0, gt=0, le=3600, description="Longest clip, in seconds.")
    upload_idle_timeout_s: float = Field(30.0, gt=0, le=600, description="Idle timeout of an upload, in seconds.")
    upload_timeout_s: float = Field(1800.0, gt=0, le=86400, description="Longest time for a whole upload, in seconds.")
    upload_min_kb_s: float = Field(
        16.0, ge=0, description="Slower uploads, in KiB per second, give up their places when others need them."
    )
    header_timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds for the headers of a request.")
    max_connections: int | None = Field(
        None,
        ge=16,
        le=1_000_000,
        description="Open connections of a process; unset = derived from the limit on open files.",
    )
    clip_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Seconds that reading a clip may take, plus ten for each second it lasts."
    )
    max_clients: int = Field(16, ge=1, le=4096, description="Live caption streams at once.")
    max_clients_per_address: int | None = Field(
        None, ge=1, le=4096, description="Live streams of one address at once; unset = 3/4 of MAX_CLIENTS."
    )
    connects_per_address: int | None = Field(
        None, ge=1, description="Burst of new live connections per address, then two per second; unset = derived."
    )
    ping_interval_s: float = Field(20.0, gt=0, le=600, description="Seconds between pings of a live connection.")
    ping_timeout_s: float = Field(
        60.0, gt=0, le=600, description="Seconds without a pong after which a live connection is closed."
    )
    max_concurrent_requests: int = Field(
        32, ge=1, le=4096, description="Recognition requests running and waiting; further requests get 503 `busy`."
    )
    extractor_workers: int = Field(
        default_factory=lambda: max(1, min(4, os.cpu_count() or 1)),
        ge=1,
        le=64,
        description="Videos processed at once.",
    )
    max_batch: int = Field(8, ge=1, le=64, description="Clips that share one model call.")
    batch_wait_ms: float = Field(
        10.0, ge=0, le=1000, description="How long a clip waits for others to share a model call, in ms."
    )

    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        # The second name is uvicorn's.
        validation_alias=AliasChoices("trusted_proxies", "forwarded_allow_ips"),
        description="Addresses or networks of proxies whose X-Forwarded-For is trusted, comma separated, or *.",
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Origins of other sites whose pages may use the API, comma separated, or *."
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Host names the service answers under, besides localhost, IP addresses and HOST; comma separated, "
        "*.NAME for all names below NAME, or * for any.",
    )
    log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Minimum log level.")
    metrics: bool = Field(True, description="Prometheus metrics at /metrics.")
    log_json: bool = Field(False, description="One JSON object per log line.")
    revision: str = Field("", max_length=64, description="Commit that the image was built from, for the metrics.")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="http:// address of an OpenTelemetry collector that gets traces (OTLP over HTTP)."
    )
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1, description="Share of the requests that are traced.")
    sentry_dsn: SecretStr | None = Field(None, description="Where errors are reported to Sentry.")

    @field_validator("database_url", "training_token", "sentry_dsn", "otel_exporter_otlp_endpoint", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = value.get_secret_value().partition("://")[0] if value is not None else "postgresql"
        if scheme not in POSTGRESQL:
            raise ValueError(
                "only PostgreSQL is supported: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; if unset, an embedded "
                "PostgreSQL is used"
            )
        return value

    @field_validator("cors_origins", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: list[str]) -> list[str]:
        for entry in value:
            try:
                AddressList([entry])
            except ValueError:
                raise ValueError(
                    f"'{entry}' is not a valid address or network; write 127.0.0.1 or 10.0.0.0/8"
                ) from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if origin != "*" and parse_origin(origin) is None:
                raise ValueError(
                    f"'{origin}' is not a valid origin; write scheme and host, such as https://example.org"
                )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: list[str]) -> list[str]:
        for host in value:
            parsed = parse_host(host.removeprefix("*."))
            if host != "*" and (parsed is None or parsed.port is not None):
                raise ValueError(
                    f"'{host}' is not a valid host name; write it without scheme and port, such as asl.example.org"
                )
        return [host.lower() for host in value]

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _windows_overlap(self) -> Settings:
        if self.stride > self.clip_length:
            raise ValueError(
                f"STRIDE ({self.stride}) is larger than CLIP_LENGTH ({self.clip_length}): frames between two windows "
                "would be skipped; make STRIDE at most CLIP_LENGTH"
            )
        return self

    @property
    def uses_database(self) -> bool:
        """Training jobs and the active checkpoint are stored there; without training, only if DATABASE_URL is set."""
        return self.training or self.database_url is not None

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * MEBIBYTE)

    @property
    def checkpoint_path(self) -> Path:
        return self.checkpoint_dir / self.checkpoint


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, `.env` and `overrides` (which win). Raises SettingsError with one line per wrong
    setting, naming it, what was given and what is accepted."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as problem:
        lines = []
        for error in problem.errors(include_url=False, include_context=False):
            message = error["msg"].removeprefix("Value error, ")
            if not error["loc"]:
                lines.append(message)
                continue
            name = str(error["loc"][0])
            field = Settings.model_fields.get(name)
            hint = f" ({field.description})" if field is not None and field.description else ""
            given = "(hidden)" if name in _SECRETS else repr(error["input"])
            lines.append(f"{name.upper()}={given}: {message}{hint}")
        raise SettingsError("These settings cannot be used:\n  " + "\n  ".join(lines)) from None
