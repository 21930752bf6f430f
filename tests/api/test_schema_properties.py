"""Whatever the OpenAPI document allows to be sent gets an answer that the document describes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
import schemathesis
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
from app.services.accounts.offline import accounts_of
from app.services.accounts.tokens import Token
from tests.support.accounts import PASSWORD, SECRET
from tests.support.serving import in_a_thread

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
            "auth_secret": SecretStr(SECRET),
            "requests_per_minute": 100_000,
            "sign_ins_per_minute": 100_000,
            "datasets_dir": empty,
            "configs_dir": empty,
            "runs_dir": empty,
        }
    )
    with in_a_thread(settings) as address:
        yield address


@pytest.fixture(scope="module")
def admin(address: str, tiny_settings: Settings, postgres: str) -> str:
    """An access token that signing out everywhere does not end."""
    options = {"database_url": SecretStr(postgres), "auth_secret": SecretStr(SECRET)}

    async def made() -> str:
        async with accounts_of(tiny_settings.model_copy(update=options)) as (accounts, _):
            user = await accounts.create("admin@example.org", PASSWORD, "admin")
            return accounts._tokens.make("access", Token(uuid4(), user.id, 10**6), 3600)

    return asyncio.run(made())


#: Routes whose answers to somebody who has signed in are checked as well.
TO_AN_ADMIN = (
    "POST /api/auth/sign-out-everywhere",
    "POST /api/auth/password",
    "POST /api/auth/second-factor",
    "POST /api/auth/second-factor/on",
    "POST /api/auth/second-factor/off",
    "POST /api/auth/ticket",
    "GET /api/users/me",
    "GET /api/users",
    "PATCH /api/users/{user_id}",
    "GET /api/keys",
    "POST /api/keys",
    "DELETE /api/keys/{key_id}",
    "GET /api/history",
    "GET /api/history/{session_id}",
    "DELETE /api/history/{session_id}",
    "PATCH /api/history/{session_id}/lines/{number}",
    "GET /api/account/export",
    "DELETE /api/account",
)


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
        "GET /api/auth/options",
        "POST /api/auth/register",
        "POST /api/auth/sign-in",
        "POST /api/auth/refresh",
        "POST /api/auth/sign-out",
        "POST /api/auth/password-reset",
        "POST /api/auth/password-reset/confirm",
        *TO_AN_ADMIN,
    ],
)
def test_answers_are_as_documented(address: str, route: str) -> None:
    check(address, route, {})


@pytest.mark.slow
@pytest.mark.parametrize("route", TO_AN_ADMIN)
def test_answers_to_an_admin_are_as_documented(address: str, admin: str, route: str) -> None:
    check(address, route, {"Authorization": f"Bearer {admin}"})


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
