"""What holds for every answer: request ids, security headers, problems for unknown routes and unexpected faults."""

from __future__ import annotations

import re
from unittest.mock import patch
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from app.api.pages import WEB
from app.core.settings import Settings
from app.main import create_app
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_unknown_routes_and_methods(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404, "not_found")
    assert_problem(await client.get("/web/../main.py"), 404, "not_found")
    assert_problem(await client.get("/web/%2e%2e%2fmain.py"), 404, "not_found")
    assert_problem(await client.get("/docs/static/swagger-editor.js"), 404, "not_found")
    refused = await client.delete("/api/inference/predict")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "POST"
    assert (await client.put("/api/keys")).headers["allow"] == "GET, POST"
    assert (await client.put(f"/api/history/{UUID(int=1)}")).headers["allow"] == "DELETE, GET"


async def test_an_unexpected_fault_tells_nothing_of_the_inside(client: httpx.AsyncClient) -> None:
    with patch("app.api.health.memory_readings", side_effect=ZeroDivisionError("secret of the house")):
        answer = await client.get("/api/health/system")
    assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize("given", ["abc-123", "A.b_c"])
async def test_a_request_id_is_taken_over(client: httpx.AsyncClient, given: str) -> None:
    assert (await client.get("/healthz", headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>"])
async def test_a_request_id_that_could_do_harm_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": given})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/healthz", "/nowhere"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in (await client.get("/")).headers["content-security-policy"]


async def test_a_log_line_has_the_path_and_no_query(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    from loguru import logger

    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message} {extra}")
    try:
        await client.get("/healthz?token=hush", headers={"x-request-id": "find-me", "authorization": "Bearer hush"})
    finally:
        logger.remove(sink)
    assert any("GET /healthz 200" in line and "find-me" in line for line in lines)
    assert "hush" not in "".join(lines)


async def test_origins_are_let_in_by_setting(tiny_settings: Settings) -> None:
    app: FastAPI = create_app(tiny_settings.model_copy(update={"cors_origins": ["https://page.example"]}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://glossline") as client:
        welcome = await client.get("/api/health/live", headers={"origin": "https://page.example"})
        stranger = await client.get("/api/health/live", headers={"origin": "https://other.example"})
    assert welcome.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in stranger.headers


async def test_pages_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for page in ("/", "/conversation", "/teach", "/account", "/training", "/docs"):
        answer = await client.get(page)
        assert answer.headers["content-type"].startswith("text/html")
        links = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert links
        for link in links:
            assert link.startswith(("/", "#")), link
            if link.startswith("/"):
                assert (await client.get(link)).status_code == 200, link
        assert "<script>" not in answer.text
        assert "style=" not in answer.text
    for script in WEB.glob("*.js"):
        text = script.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
        assert "//" not in re.sub(r"(^|\s)//.*|\$\{scheme\}://", "", text), script  # no address but our own
        for other in re.findall(r'from "\./([^"]+)"', text):
            answer = await client.get(f"/web/{other}")
            assert answer.status_code == 200, other
            assert answer.headers["content-type"].startswith("text/javascript")


async def test_swagger_ui_is_a_version_that_reads_this_document(client: httpx.AsyncClient) -> None:
    script = (await client.get("/docs/static/swagger-ui-bundle.js")).text
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
    assert re.search(r'PACKAGE_VERSION:"5\.\d+', script)
