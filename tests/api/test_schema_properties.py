"""Whatever the OpenAPI document allows to be sent gets an answer that the document describes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

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
    method, _, path = route.partition(" ")
    operation = schemathesis.openapi.from_url(f"{address}/openapi.json")[path][method]

    @given(case=operation.as_strategy())
    @settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    holds()
