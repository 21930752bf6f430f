from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import pytest

from app.core.errors import LiveError, all_errors
from app.services.training_jobs.request import TrainingRequest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get("/openapi.json")).json()
    return body


async def test_every_route_is_described(client: httpx.AsyncClient) -> None:
    paths = (await document(client))["paths"]
    assert set(paths) == {
        "/api/inference/predict", "/api/inference/frames", "/api/inference/landmarks", "/api/health",
        "/api/health/live", "/api/health/ready", "/api/health/system", "/api/health/models", "/labels", "/api/labels",
        "/api/vocabularies", "/api/signs", "/api/signs/{glosses}", "/api/signs/perform",
        "/api/speech/engines", "/api/speech/transcribe", "/api/speech/translate", "/api/speech/synthesise",
        "/api/speech/voice",
        "/v1/audio/transcriptions", "/v1/audio/speech",
        "/api/signs/sets", "/api/signs/sets/import", "/api/signs/sets/shared", "/api/signs/sets/copy",
        "/api/signs/sets/{set_id}", "/api/signs/sets/{set_id}/export", "/api/signs/sets/{set_id}/share",
        "/api/signs/sets/{set_id}/consent", "/api/signs/corpus",
        "/api/signs/sets/{set_id}/signs", "/api/signs/sets/{set_id}/signs/{sign_id}",
        "/api/signs/sets/{set_id}/signs/{sign_id}/recordings",
        "/api/signs/sets/{set_id}/signs/{sign_id}/recordings/{recording_id}", "/api/live/follow",
        "/healthz",
        "/metrics", "/api/training/start", "/api/training/status", "/api/training/jobs", "/api/training/jobs/{job_id}",
        "/api/training/jobs/{job_id}/metrics", "/api/training/jobs/{job_id}/logs", "/api/training/jobs/{job_id}/stop",
        "/api/training/jobs/{job_id}/resume", "/api/training/checkpoints",
        "/api/training/checkpoints/{checkpoint_id}/activate",
        "/api/auth/options", "/api/auth/ticket",
        "/api/auth/register", "/api/auth/sign-in", "/api/auth/refresh", "/api/auth/sign-out",
        "/api/auth/sign-out-everywhere", "/api/auth/password", "/api/auth/password-reset",
        "/api/auth/password-reset/confirm", "/api/auth/second-factor", "/api/auth/second-factor/on",
        "/api/auth/second-factor/off", "/api/users/me", "/api/users", "/api/users/{user_id}", "/api/keys",
        "/api/keys/{key_id}", "/api/billing/plans", "/api/billing/usage", "/api/billing/ledger",
        "/api/billing/checkout", "/api/billing/portal", "/api/billing/webhook", "/api/billing/users/{user_id}",
        "/api/billing/users/{user_id}/credits", "/api/billing/users/{user_id}/give-back",
            "/api/billing/users/{user_id}/plan", "/api/history",
        "/api/history/{session_id}", "/api/history/{session_id}/lines/{number}", "/api/account", "/api/account/export",
    }  # fmt: skip
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["summary"], path
            assert operation["tags"], path
            assert {"200", "201", "202", "204"} & set(operation["responses"]), path


async def test_every_error_of_the_service_is_documented_somewhere(client: httpx.AsyncClient) -> None:
    found = {
        code
        for methods in (await document(client))["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    everywhere = {"method_not_allowed"}  # an answer of no route
    assert found == {error.code for error in all_errors() if not issubclass(error, LiveError)} - everywhere


async def test_references_resolve_and_examples_fit_their_schemas(client: httpx.AsyncClient) -> None:
    whole = await document(client)

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: Any = whole
                for part in node["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for child in node.values():
                check(child)
        elif isinstance(node, list):
            for child in node:
                check(child)

    check(whole)
    for name, schema in whole["components"]["schemas"].items():
        validator = jsonschema_rs.validator_for({**schema, "components": whole["components"]})
        for example in schema.get("examples", []):
            assert validator.is_valid(example), (name, [str(error) for error in validator.iter_errors(example)])


async def test_every_example_of_a_body_is_accepted(client: httpx.AsyncClient) -> None:
    whole = await document(client)
    posted = 0
    for path, methods in whole["paths"].items():
        body = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or "$ref" not in body["schema"]:
            continue
        schema = whole["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        for example in schema.get("examples", []):
            if path == "/api/training/start":
                posted += 1
                TrainingRequest.model_validate(example)  # whether its dataset exists is another question
            elif path.startswith("/api/inference"):
                posted += 1
                answer = await client.post(path, json=example)
                assert answer.status_code == 200, answer.text
    assert posted == 3


async def test_the_token_is_optional_and_refusals_are_documented(client: httpx.AsyncClient) -> None:
    paths = (await document(client))["paths"]
    assert {} in paths["/api/training/status"]["get"]["security"]
    assert paths["/api/inference/predict"]["post"]["security"] == [{"bearer": []}, {"api_key": []}, {}]
    assert {} not in paths["/api/keys"]["get"]["security"]
    assert "security" not in paths["/api/auth/sign-in"]["post"]
    forbidden = paths["/api/inference/predict"]["post"]["responses"]["403"]["content"]["application/problem+json"]
    assert set(forbidden["examples"]) == {"host_refused", "origin_refused", "forbidden", "plan_limit"}
    assert "403" not in paths["/api/health/live"]["get"]["responses"]
    stream = paths["/api/training/jobs/{job_id}/logs"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert stream["schema"]["type"] == "array"
