"""SQL in every text that a client may send: each answer is a documented one, and the tables are as before.

The fields come from the OpenAPI document, so that a new route is tried as soon as it exists.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest_asyncio
from fastapi import FastAPI

from app.core.settings import Settings
from tests.support.accounts import client_of, guarded, person, running
from tests.support.ledger import rows
from tests.support.media import npz

SQL = ("' OR '1'='1", "1'); DELETE FROM ledger; --")
ID = "00000000-0000-0000-0000-000000000001"
#: What must not change. SQL is a fine password: the example of a registration is accepted with it.
KEPT = """SELECT (SELECT count(*) FROM users WHERE email <> 'ann@example.org'), (SELECT count(*) FROM caption_sessions),
    (SELECT count(*) FROM ledger WHERE kind <> 'adjust'), (SELECT count(*) FROM users WHERE role = 'admin')"""


@pytest_asyncio.fixture
async def app(tiny_settings: Settings, database_url: str) -> AsyncIterator[FastAPI]:
    async with running(guarded(tiny_settings, database_url)) as app:
        yield app


def requests(document: dict[str, Any], sql: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, options) with this text in one place at a time, and what fits in the others."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            ids = {place["name"]: ID for place in parameters if place["in"] == "path"}
            for place in parameters:
                if place["in"] == "path":
                    yield method, path.format(**ids | {place["name"]: sql.replace("/", "%2F")}), {}
                elif place["in"] == "query":
                    yield method, path.format(**ids), {"params": {place["name"]: sql}}
                else:
                    yield method, path.format(**ids), {"headers": {place["name"]: sql}}
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = resolved(document, content["schema"])
                fitting = {name: example(document, field) for name, field in schema.get("properties", {}).items()}
                for name in fitting:
                    if kind == "application/json":
                        yield method, path.format(**ids), {"json": fitting | {name: sql}}
                    else:
                        files = {"file": (sql if name == "file" else "a.npz", npz(4))}
                        yield (
                            method,
                            path.format(**ids),
                            {"files": files, "data": {} if name == "file" else {name: sql}},
                        )


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Something that fits, as far as that is easy to say."""
    schema = resolved(document, schema)
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return example(document, schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    of_type = {"string": "text of no harm", "integer": 1, "number": 1.0, "boolean": False, "array": [], "object": {}}
    return schema.get("default", of_type.get(schema.get("type", "")))


async def test_sql_in_every_text(app: FastAPI) -> None:
    admin = await person(app, "admin")
    async with client_of(app) as client:
        saved = await client.post(
            "/api/inference/landmarks?save=true", files={"file": ("a.npz", npz(60))}, headers=admin.headers
        )
        assert saved.status_code == 200
        await app.state.services.history.writer.written()
        before = await rows(app.state.services.database, KEPT)
        document = (await client.get("/openapi.json")).json()
        tried = 0
        for sql in SQL:
            for method, path, options in requests(document, sql):
                headers = admin.headers | options.pop("headers", {})
                answer = await client.request(method, path, headers=headers, **options)
                without_engine = answer.status_code == 503 and answer.json()["code"] == "speech_unavailable"
                assert answer.status_code < 500 or without_engine, (method, path, options, answer.text)
                tried += 1
        assert tried > 150
    assert await rows(app.state.services.database, KEPT) == before
