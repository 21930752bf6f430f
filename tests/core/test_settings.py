from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_usable() -> None:
    settings = load_settings()
    assert settings.checkpoint == "asl-large"
    assert settings.checkpoint_path == settings.checkpoint_dir / "asl-large"
    assert settings.max_upload_bytes == 200 * 1024 * 1024
    assert settings.extractor_workers >= 1


def test_environment_beats_the_file_and_arguments_beat_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=9001\nMAX_BATCH=3\nUNKNOWN_NAME=1\n")
    monkeypatch.setenv("PORT", "9002")
    assert load_settings().port == 9002
    assert load_settings().max_batch == 3
    assert load_settings(port=9003).port == 9003


@pytest.mark.parametrize("name", ["TRUSTED_PROXIES", "FORWARDED_ALLOW_IPS"])
def test_trusted_proxies_have_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "127.0.0.1, 10.0.0.0/8")
    assert load_settings().trusted_proxies == ["127.0.0.1", "10.0.0.0/8"]
    monkeypatch.setenv(name, "proxy.local")
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES='proxy.local': .* not a valid address"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "http", "valid integer"),
        ("DEVICE", "gpu", "'auto', 'cpu', 'cuda' or 'cuda:N'"),
        ("CHECKPOINT", "../secret", "not by a path"),
        ("CHECKPOINT", "", "named by its id"),
        ("CLIP_LENGTH", "65", "multiple of 4"),
        ("STRIDE", "4", "greater than or equal to 8"),
        ("MAX_UPLOAD_MB", "-1", "greater than 0"),
        ("CORS_ORIGINS", "example.org", "scheme and host"),
        ("LOG_LEVEL", "LOUD", "'TRACE'"),
        ("USE_AMP", "perhaps", "valid boolean"),
        ("MOTION_THRESHOLD", "nan", ""),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert f"{name}={value!r}" in message
    assert said in message
    assert "Traceback" not in message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "mysql://ann:hunter2@db/x", "only PostgreSQL is supported"),
        ("DATABASE_URL", "hunter2", "only PostgreSQL is supported"),
        ("TRAINING_TOKEN", "hunter2", "at least 16"),
        ("AUTH_SECRET", "hunter2", "at least 32"),
        ("REDIS_URL", "http://:hunter2@cache", "redis://"),
    ],
)
def test_a_wrong_secret_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"{name}=" in str(caught.value)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_are_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@db/x")
    monkeypatch.setenv("TRAINING_TOKEN", "hunter2" * 3)
    assert "hunter2" not in repr(load_settings())


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("DEVICE", "tpu")
    with pytest.raises(SettingsError, match=r"(?s)PORT=.*DEVICE=|DEVICE=.*PORT="):
        load_settings()


def test_windows_must_not_leave_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIDE", "160")
    with pytest.raises(SettingsError, match=r"STRIDE \(160\) is larger than CLIP_LENGTH \(128\)"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "origins"),
    [("", []), ("*", ["*"]), ("https://a.org, http://b.org:8080", ["https://a.org", "http://b.org:8080"])],
)
def test_origins_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch, text: str, origins: list[str]) -> None:
    monkeypatch.setenv("CORS_ORIGINS", text)
    assert load_settings().cors_origins == origins


def test_the_example_file_shows_every_setting_and_its_true_default() -> None:
    example = Path(__file__).resolve().parents[2] / ".env.example"
    lines = [line[1:] for line in example.read_text().splitlines() if re.match(r"#[A-Z_]+=", line)]
    shown = dict(line.split("=", 1) for line in lines)
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    # Those that depend on the machine or the folder are shown by way of example.
    machine = {
        "CHECKPOINT_DIR",
        "GLOSS_LM_WEIGHT",
        "TORCH_THREADS",
        "EXTRACTOR_WORKERS",
        "MAX_CLIENTS_PER_ADDRESS",
        "CONNECTS_PER_ADDRESS",
        "MAX_CONNECTIONS",
        "GRPC_PORT",
        "DATABASE_URL",
        "DATA_DIR",
        "TRAINING_TOKEN",
        "METRICS_TOKEN",
        "AUTH_SECRET",
        "REDIS_URL",
        "PUBLIC_URL",
        "SMTP_HOST",
        "SMTP_CA",
        "SMTP_USER",
        "SMTP_PASSWORD",
        "PLANS_FILE",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "STRIPE_PRICES",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "SENTRY_DSN",
        "DATASETS_DIR",
        "CONFIGS_DIR",
        "RUNS_DIR",
        "PIPER_VOICES",
        "SPEECH_API_URL",
        "SPEECH_API_KEY",
        "SPEECH_API_VOICES",
    }
    given = {name.lower(): value for name, value in shown.items() if name not in machine}
    assert load_settings(**given) == load_settings()
