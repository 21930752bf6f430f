"""Whatever the OpenAPI document allows to be sent gets an answer that the document describes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.core.settings import Settings
from app.main import create_app
from tests.conftest import _sql, fresh_database
from tests.support.accounts import PASSWORD, guarded
from tests.support.stripe_server import KEY, PRICES, SECRET, stripe_in_a_thread

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def address(tiny_settings: Settings, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application behind a real socket, in a thread; it may train, but there is nothing to train on."""
    empty = tmp_path_factory.mktemp("empty")
    settings = tiny_settings.model_copy(
        update={
            "training": True,
            "database_url": SecretStr(postgres),
            "datasets_dir": empty,
            "configs_dir": empty,
            "runs_dir": empty,
        }
    )
    with in_a_thread(settings) as address:
        yield address


@contextmanager
def in_a_thread(settings: Settings) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive(), "the server did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def billing(tiny_settings: Settings, postgres: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """An application that charges and takes payments: its address, the headers of an admin, the id of a user."""
    with fresh_database(postgres) as database, stripe_in_a_thread() as stripe:
        payments = {
            "stripe_secret_key": SecretStr(KEY),
            "stripe_webhook_secret": SecretStr(SECRET),
            "stripe_prices": PRICES,
            "stripe_api": stripe.url,
        }
        with in_a_thread(guarded(tiny_settings, database, **payments)) as address:
            account = {"email": "ann@example.org", "password": PASSWORD}
            httpx.post(f"{address}/api/auth/register", json=account)
            _sql(database, "UPDATE users SET role = 'admin'")
            token = httpx.post(f"{address}/api/auth/sign-in", json=account).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            user = httpx.get(f"{address}/api/users/me", headers=headers).json()["id"]
            yield address, headers, user


@pytest.mark.slow
@pytest.mark.parametrize(
    "route",
    [
        "POST /api/inference/predict",
        "POST /api/inference/frames",
        "POST /api/inference/landmarks",
        "GET /api/health",
        "GET /api/health/live",
        "GET /api/health/ready",
        "GET /api/health/system",
        "GET /api/health/models",
        "GET /labels",
        "GET /api/labels",
        "GET /healthz",
        "POST /api/training/start",
        "GET /api/training/status",
        "GET /api/training/jobs",
        "GET /api/training/jobs/{job_id}",
        "GET /api/training/jobs/{job_id}/metrics",
        "GET /api/training/jobs/{job_id}/logs",
        "POST /api/training/jobs/{job_id}/stop",
        "POST /api/training/jobs/{job_id}/resume",
        "GET /api/training/checkpoints",
        "POST /api/training/checkpoints/{checkpoint_id}/activate",
    ],
)
def test_answers_are_as_documented(address: str, route: str) -> None:
    check(address, route, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "route",
    [
        "GET /api/billing/plans",
        "GET /api/billing/usage",
        "GET /api/billing/ledger",
        "POST /api/billing/checkout",
        "POST /api/billing/portal",
        "POST /api/billing/webhook",
        "GET /api/billing/users/{user_id}",
        "POST /api/billing/users/{user_id}/credits",
        "POST /api/billing/users/{user_id}/plan",
    ],
)
def test_answers_about_credits_are_as_documented(billing: tuple[str, dict[str, str], str], route: str) -> None:
    address, headers, user = billing
    check(address, route, headers)
    if "{user_id}" in route:
        check(address, route, headers, {"user_id": user})


def check(address: str, route: str, headers: dict[str, str], path_parameters: dict[str, str] | None = None) -> None:
    method, _, path = route.partition(" ")
    operation = schemathesis.openapi.from_url(f"{address}/openapi.json")[path][method]

    @given(case=operation.as_strategy())
    @settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        if path_parameters is not None:
            case.path_parameters = path_parameters
        case.call_and_validate(checks=CHECKS, headers=headers)

    holds()
