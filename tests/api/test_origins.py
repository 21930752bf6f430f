"""Foreign pages: the Host and Origin of every request are checked; a refusal names the setting that would allow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI
from loguru import logger

from app.api.origins import CheckOrigin, OriginPolicy
from app.core.limits import RateLimit
from app.core.network import Address, parse_host, parse_origin
from app.core.settings import Settings, SettingsError, load_settings
from app.main import create_app
from tests.support.problems import assert_problem
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "http://localhost:5173"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as url:
        yield url


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "app.localhost", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "10.0.0.7"]
)
async def test_names_of_this_machine_and_addresses_are_accepted(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8302", "localhost.evil.example", "evillocalhost", "127.1", "localhost."]
)
@pytest.mark.parametrize("path", ["/", "/metrics", "/api/health/system", "/socket.io/?EIO=4&transport=polling"])
async def test_other_names_are_refused(client: httpx.AsyncClient, log: list[str], host: str, path: str) -> None:
    problem = assert_problem(await client.get(path, headers={"Host": host}), 403, "host_refused")
    assert "ALLOWED_HOSTS" in problem["detail"]


async def test_liveness_answers_under_any_name(client: httpx.AsyncClient) -> None:
    for host in ("pod-7.cluster", "[", "evil.example"):
        assert (await client.get("/api/health/live", headers={"Host": host})).status_code == 200
    assert_problem(await client.get("/api/health/ready", headers={"Host": "pod-7.cluster"}), 403, "host_refused")


@pytest.mark.parametrize(
    "path", ["/api/training/status", "/socket.io/?EIO=4&transport=polling", "/docs", "/api/labels"]
)
@pytest.mark.parametrize("host", ["[", "a b", "x:99999", "x:y", "u@localhost", "localhost/..", "[::1", "é", ""])
async def test_a_host_that_is_none_is_malformed(client: httpx.AsyncClient, path: str, host: str) -> None:
    answer = await client.get(path, headers=[(b"Host", host.encode("latin-1"))])
    assert_problem(answer, 400, "malformed_request")


async def test_two_hosts_are_malformed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/labels", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    "origin",
    [PAGE, "null", "https://evil.example", "http://[", "http://glossline:81", "http://glossline.evil", "é", ""],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/inference/predict"),
        ("POST", "/api/inference/landmarks"),
        ("POST", "/api/training/start"),
        ("DELETE", "/anything"),
        ("GET", "/socket.io/?EIO=4&transport=polling"),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=x"),
    ],
)
async def test_foreign_pages_are_refused(client: httpx.AsyncClient, method: str, path: str, origin: str) -> None:
    answer = await client.request(method, path, headers=[(b"Origin", origin.encode("latin-1"))])
    assert_problem(answer, 403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers


async def test_the_log_and_the_answer_name_the_setting(client: httpx.AsyncClient, log: list[str]) -> None:
    answer = await client.post("/api/inference/predict", headers={"Origin": PAGE})
    expected = f"Origin {PAGE} refused: add it to CORS_ORIGINS"
    assert expected in assert_problem(answer, 403, "origin_refused")["detail"]
    preflight = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert_problem(await client.options("/api/inference/predict", headers=preflight), 403, "origin_refused")
    assert sum(expected in line for line in log) in (0, 1, 2)  # a limited number of lines a minute, over all tests


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_fetch_metadata_counts_where_there_is_no_origin(client: httpx.AsyncClient, site: str) -> None:
    route = "/api/inference/landmarks"
    assert_problem(await client.post(route, headers={"Sec-Fetch-Site": site}), 403, "origin_refused")
    for own in ("same-origin", "none"):
        assert_problem(await client.post(route, headers={"Sec-Fetch-Site": own}), 415, "unsupported_media_type")
    # A link on another site may lead here.
    assert (await client.get("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})).status_code == 200


@pytest.mark.parametrize("origin", ["http://glossline", "https://glossline", "http://glossline:80", "HTTP://x"])
async def test_pages_of_the_service_itself_are_accepted(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.post("/api/inference/landmarks", headers={"Origin": origin})
    if origin.islower():
        assert_problem(answer, 415, "unsupported_media_type")
    else:
        assert_problem(answer, 403, "origin_refused")


async def test_settings_let_hosts_and_origins_in(tiny_settings: Settings) -> None:
    changes = {"allowed_hosts": ["asl.example", "*.cluster.local"], "cors_origins": [PAGE], "host": "Box.lan"}
    app = create_app(tiny_settings.model_copy(update=changes))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://asl.example") as client:
        for host in ("asl.example:8000", "a.cluster.local", "box.lan:8000"):
            assert (await client.get("/docs", headers={"Host": host})).status_code == 200
        for host in ("cluster.local", "x.asl.example"):
            assert_problem(await client.get("/docs", headers={"Host": host}), 403, "host_refused")
        headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
        preflight = await client.options("/api/inference/predict", headers=headers)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
        answer = await client.post("/api/inference/predict", headers={"Origin": PAGE, "Sec-Fetch-Site": "cross-site"})
        assert_problem(answer, 503, "not_ready")
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_socket_from_a_foreign_page_or_by_a_foreign_name(address: str) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://evil.example:8302", "Host": "evil.example:8302"},
    ):
        for path in ("/ws/stream", "/socket.io/?EIO=4&transport=websocket"):
            status, body = await handshake(address, path, headers)
            assert status == 403, (headers, path)
            assert b"_refused" in body
    assert (await handshake(address, "/ws/stream", {"Host": "["}))[0] == 400
    assert (await handshake(address, "/ws/stream", {"Origin": f"http://{address}"}))[0] == 101


@pytest.mark.parametrize("path", ["/ws", "/ws/translation/stream", "/api/v1/ws/inference", "/socket.io.evil"])
async def test_a_wrong_websocket_path_is_not_found(address: str, log: list[str], path: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://{address}{path}")
    assert refused.value.response.status_code == 404
    assert b"/api/ws/stream" in refused.value.response.body
    assert any(f"no WebSocket at {path}: live captions are at /api/ws/stream" in line for line in log)


async def handshake(address: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of the answer to a WebSocket handshake with exactly these headers."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    given = {
        "Host": address, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers,
    }  # fmt: skip
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    body = b"" if b" 101 " in head[:20] else await asyncio.wait_for(reader.read(2000), 30)
    writer.close()
    return int(head.split()[1]), body


def policy_refuses(policy: OriginPolicy, scheme: str, host: str, origin: str) -> bool:
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    scope = {"type": "http", "method": "POST", "path": "/x", "scheme": scheme, "headers": headers}
    return policy.refusal(scope) is not None


async def test_ports_and_schemes() -> None:
    refuses: Callable[[str, str, str], bool] = lambda *given: policy_refuses(OriginPolicy(["a.b"], []), *given)  # noqa: E731
    assert not refuses("http", "a.b", "https://a.b")  # TLS ends at a proxy
    assert not refuses("https", "a.b:443", "https://a.b")
    assert refuses("https", "a.b", "http://a.b")
    assert refuses("http", "a.b:8000", "http://a.b:5173")
    assert refuses("http", "a.b:8000", "http://a.b")
    assert not refuses("http", "[::1]:8000", "http://[::1]:8000")
    assert not policy_refuses(OriginPolicy(["*"], ["*"]), "http", "anything", "null")


async def test_addresses_are_parsed() -> None:
    assert parse_host("[::1]:8000") == Address("::1", 8000)
    assert parse_host("Example.ORG") == Address("example.org", None)
    for bad in ("", "[", "[x]", "a/b", "a?b", "a#b", "a\tb", "a@b", "a:b", "a:70000", "::1"):
        assert parse_host(bad) is None, bad
        assert parse_origin(f"http://{bad}") is None, bad
    for bad in ("null", "file://", "ftp://a", "http:/a", "http://a/"):
        assert parse_origin(bad) is None


async def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "asl.example, *.cluster.local")
    assert load_settings(_env_file=None).allowed_hosts == ["asl.example", "*.cluster.local"]
    for wrong in ("https://asl.example", "asl.example:8000", "a b"):
        with pytest.raises(SettingsError, match="ALLOWED_HOSTS"):
            load_settings(_env_file=None, allowed_hosts=wrong)
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        load_settings(_env_file=None, cors_origins="http://[")


async def test_log_lines_of_refusals_are_limited() -> None:
    at = 0.0
    limit = RateLimit(2, 2 / 60, now=lambda: at)
    assert [limit.allows() for _ in range(4)] == [True, True, False, False]
    at = 60.0
    assert limit.allows()


async def test_answers_are_closed_to_pages_of_other_origins(client: httpx.AsyncClient) -> None:
    for path in ("/", "/labels", "/metrics", "/nothing"):
        assert (await client.get(path)).headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=(self)" in (await client.get("/")).headers["permissions-policy"]


async def test_each_refusal_is_logged_with_the_setting(log: list[str]) -> None:
    async def answer(message: object) -> None:
        pass

    door = CheckOrigin(None, OriginPolicy([], []))  # type: ignore[arg-type]
    for headers in ([(b"host", b"evil.example")], [(b"host", b"localhost"), (b"origin", PAGE.encode())]):
        scope = {"type": "http", "method": "POST", "path": "/x", "scheme": "http", "headers": headers}
        await door(scope, None, answer)  # type: ignore[arg-type]
    assert [setting for line in log for setting in ("ALLOWED_HOSTS", "CORS_ORIGINS") if setting in line] == [
        "ALLOWED_HOSTS",
        "CORS_ORIGINS",
    ]
