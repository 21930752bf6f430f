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
#: Schemes of REDIS_URL.
REDIS = ("redis", "rediss")
_REPOSITORY = Path(__file__).resolve().parents[2]
#: Their values are never shown.
SECRETS = (
    "database_url",
    "training_token",
    "auth_secret",
    "smtp_password",
    "redis_url",
    "metrics_token",
    "stripe_secret_key",
    "stripe_webhook_secret",
    "sentry_dsn",
    "speech_api_key",
)


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
    use_amp: bool = Field(
        True, description="bfloat16 where it is faster: on CUDA, and on CPUs with AMX. Elsewhere float32."
    )
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
    history_days: int | None = Field(
        None, ge=1, le=36_500, description="Days that stored captions are kept; unset = until they are deleted."
    )
    redis_url: SecretStr | None = Field(
        None, description="redis:// address; several processes then share their rate limits. Unset = each has its own."
    )

    auth_mode: Literal["open", "required"] = Field(
        "open", description="open: anonymous use; required: every request needs a sign-in or an API key."
    )
    auth_secret: SecretStr | None = Field(
        None, min_length=32, description="Signs tokens and hashes keys; unset = a random one kept in DATA_DIR."
    )
    registration: bool = Field(True, description="Whether people may make accounts for themselves.")
    access_token_minutes: float = Field(15.0, gt=0, le=1440, description="How long an access token is valid.")
    refresh_token_days: float = Field(30.0, gt=0, le=365, description="How long a refresh token is valid.")
    ticket_seconds: float = Field(30.0, gt=0, le=600, description="How long a ticket for one socket is valid.")
    password_reset_minutes: float = Field(30.0, gt=0, le=1440, description="How long the link of a reset is valid.")
    max_api_keys: int = Field(
        20, ge=1, le=1000, description="API keys of one account that are neither revoked nor expired."
    )
    requests_per_minute: int = Field(
        600, ge=1, le=1_000_000, description="Requests a minute of one account, of one API key, and of one address."
    )
    sign_ins_per_minute: int = Field(
        10, ge=1, le=100_000, description="Attempts a minute to sign in, of one address and at one account."
    )
    public_url: str | None = Field(None, description="Where people reach the service, for links in mails.")
    smtp_host: str | None = Field(None, description="Mail server; unset = links of resets are written to the log.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How mails are encrypted on their way."
    )
    smtp_ca: Path | None = Field(
        None, description="Certificates (PEM) that the mail server's must come from; unset = those of the system."
    )
    smtp_user: str | None = Field(None, description="Account at the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password of that account.")
    smtp_from: str = Field("glossline@localhost", min_length=3, description="Sender of the mails.")
    plans_file: Path | None = Field(None, description="Table of the plans; unset = app/services/billing/plans.toml.")
    stripe_secret_key: SecretStr | None = Field(
        None, min_length=8, description="Stripe's secret key; unset = no payments, plans are granted by an admin."
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None, min_length=8, description="Signing secret of the webhook at /api/billing/webhook."
    )
    stripe_prices: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, description="Price of each paid plan at Stripe, comma separated: pro=price_1,..."
    )
    stripe_api: str = Field("https://api.stripe.com", description="Address of Stripe's API.")
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

    speech_transcriber: Literal["auto", "whisper", "openai", "off"] = Field(
        "auto", description="Engine that writes speech down; auto = the server of SPEECH_API_URL if set, else whisper."
    )
    speech_translator: Literal["auto", "apertium", "openai", "off"] = Field(
        "auto", description="Engine that translates; auto = the server of SPEECH_API_URL if set, else apertium."
    )
    speech_voice: Literal["auto", "espeak-ng", "piper", "openai", "off"] = Field(
        "auto",
        description="Engine that reads aloud; auto = the server of SPEECH_API_URL if set, else piper if PIPER_VOICES "
        "is, else espeak-ng.",
    )
    whisper_model: str = Field(
        "packages",
        min_length=1,
        description="packages: Whisper base from requirements-speech.txt; or a folder, or a name such as small, which "
        "is fetched from a hub.",
    )
    whisper_threads: int = Field(
        0, ge=0, le=64, description="CPU threads of one transcription; 0: half of the processors."
    )
    piper_voices: Annotated[dict[str, Path], NoDecode] = Field(
        default_factory=dict, description="Piper's voice file of each language, comma separated: es=FILE.onnx,..."
    )
    speech_api_url: str | None = Field(
        None, description="Base URL, with /v1, of an OpenAI-compatible server for speech and translation."
    )
    speech_api_key: SecretStr | None = Field(None, description="Its key.")
    speech_api_transcription_model: str = Field("whisper-1", min_length=1, description="Its model that transcribes.")
    speech_api_translation_model: str = Field("gpt-4o-mini", min_length=1, description="Its chat model, translates.")
    rewrite_sentences: bool = Field(
        False,
        description="A chat model at SPEECH_API_URL makes sentences of signs fluent; it may add nothing.",
    )
    rewriting_wait_s: float = Field(1.0, gt=0, le=30, description="Longest wait of a sentence for it, in seconds.")
    speech_api_rewriting_model: str = Field("gpt-4o-mini", min_length=1, description="Its chat model, rewrites.")
    speech_api_voice_model: str = Field("tts-1", min_length=1, description="Its model that speaks.")
    speech_api_voices: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, description="Its voice for each language, comma separated: en=alloy,es=nova."
    )
    speech_api_clones: bool = Field(
        False, description="Its model that speaks takes the sample of a voice (`ref_audio`) and speaks with it."
    )
    max_speech_s: float = Field(600.0, gt=0, le=7200, description="Longest audio to transcribe, in seconds.")
    max_speech_sessions: int = Field(10, ge=1, le=1024, description="Live speech sessions at once.")

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
    admin_pages: bool = Field(False, description="Pages for admins at /admin: accounts, plans, ledger, sessions, jobs.")
    metrics: bool = Field(True, description="Prometheus metrics at /metrics.")
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="Token for /metrics in AUTH_MODE=required, from other machines."
    )
    log_json: bool = Field(False, description="One JSON object per log line.")
    revision: str = Field("", max_length=64, description="Commit that the image was built from, for the metrics.")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="http:// address of an OpenTelemetry collector that gets traces (OTLP over HTTP)."
    )
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1, description="Share of the requests that are traced.")
    sentry_dsn: SecretStr | None = Field(None, description="Where errors are reported to Sentry.")

    @field_validator(
        *("database_url", "training_token", "auth_secret", "redis_url"),
        *("metrics_token", "public_url", "smtp_host", "smtp_user", "smtp_password", "smtp_ca"),
        *("plans_file", "stripe_secret_key", "stripe_webhook_secret", "history_days"),
        *("sentry_dsn", "otel_exporter_otlp_endpoint", "speech_api_url", "speech_api_key"),
        mode="before",
    )
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

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = value.get_secret_value().partition("://")[0] if value is not None else "redis"
        if scheme not in REDIS:
            raise ValueError("write redis://[:PASSWORD@]HOST[:PORT], rediss:// for TLS")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None and parse_origin(value.rstrip("/")) is None:
            raise ValueError("write scheme and host, such as https://captions.example.org")
        return value and value.rstrip("/")

    @field_validator("cors_origins", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("stripe_prices", mode="before")
    @classmethod
    def _split_prices(cls, value: object) -> object:
        return _pairs(value, "write plan=price, comma separated, such as pro=price_1,enterprise=price_2")

    @field_validator("piper_voices", "speech_api_voices", mode="before")
    @classmethod
    def _split_voices(cls, value: object) -> object:
        return _pairs(value, "write language=voice, comma separated, such as en=...,es=...")

    @field_validator("piper_voices", "speech_api_voices")
    @classmethod
    def _check_voices(cls, value: dict[str, object]) -> dict[str, object]:
        if unknown := set(value) - {"en", "es"}:
            raise ValueError(f"there are voices for en and es, not for '{sorted(unknown)[0]}'")
        return value

    @field_validator("speech_api_url")
    @classmethod
    def _check_speech_api(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("write scheme, host and path, such as http://localhost:8001/v1")
        return value and value.rstrip("/")

    @field_validator("stripe_api")
    @classmethod
    def _check_stripe_api(cls, value: str) -> str:
        if parse_origin(value.rstrip("/")) is None:
            raise ValueError("write scheme and host, such as https://api.stripe.com")
        return value.rstrip("/")

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

    @model_validator(mode="after")
    def _stripe_is_whole(self) -> Settings:
        if self.stripe_secret_key is not None and (self.stripe_webhook_secret is None or not self.stripe_prices):
            raise ValueError(
                "STRIPE_SECRET_KEY needs STRIPE_WEBHOOK_SECRET and STRIPE_PRICES too; without them payments have no "
                "effect"
            )
        return self

    @property
    def uses_database(self) -> bool:
        """Training jobs, the active checkpoint and accounts are stored there; without training and the admin's pages
        and in AUTH_MODE=open, only if DATABASE_URL is set."""
        return self.training or self.admin_pages or self.auth_mode == "required" or self.database_url is not None

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * MEBIBYTE)

    @property
    def checkpoint_path(self) -> Path:
        return self.checkpoint_dir / self.checkpoint


def _pairs(value: object, how: str) -> object:
    """name=value, comma separated, as a dict. Raises ValueError with how to write it."""
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    if not all(name and content for name, _, content in pairs):
        raise ValueError(how)
    return {name.strip(): content.strip() for name, _, content in pairs}


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
            given = "(hidden)" if name in SECRETS else repr(error["input"])
            lines.append(f"{name.upper()}={given}: {message}{hint}")
        raise SettingsError("These settings cannot be used:\n  " + "\n  ".join(lines)) from None
