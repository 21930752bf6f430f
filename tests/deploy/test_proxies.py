"""The service behind a real Caddy and a real nginx with their shipped files: everything goes through."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import grpc
import httpx
import pytest
import socketio
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.sync.client import ClientConnection, connect

from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1 import captioner_pb2_grpc
from tests.support.media import jpeg, video
from tests.support.problems import uploads_left
from tests.support.processes import Service, answers, free_port, start, until
from tests.support.proxies import Proxy, caddy, nginx
from tests.support.recognisers import performance

pytestmark = pytest.mark.slow
PROXIES = {"caddy": caddy, "nginx": nginx}
#: MiB: of the service, and of the proxy in front of it.
SERVICE_LIMIT, PROXY_LIMIT = 4, 6


@pytest.fixture(scope="module")
def grpc_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tiny_checkpoints: Path, grpc_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(tiny_checkpoints),
        "DEVICE": "cpu",
        "EXTRACTOR_WORKERS": "1",
        "TRAINING": "false",
        "MAX_UPLOAD_MB": str(SERVICE_LIMIT),
        "MAX_CLIENTS_PER_ADDRESS": "1",
        "TRUSTED_PROXIES": "127.0.0.1",
        "GRPC_PORT": str(grpc_port),
        # A client that polls waits for its last poll when it leaves.
        "PING_INTERVAL_S": "2",
        "PING_TIMEOUT_S": "30",
    }
    running = start(tmp_path_factory.mktemp("service") / "log", environment)
    try:
        until(lambda: answers(running))
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


@pytest.fixture(scope="module", params=sorted(PROXIES))
def proxy(
    request: pytest.FixtureRequest, service: Service, grpc_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    folder, upstreams = tmp_path_factory.mktemp(request.param), [f"127.0.0.1:{service.port}"]
    with PROXIES[request.param](folder, upstreams, f"127.0.0.1:{grpc_port}", PROXY_LIMIT) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"https://{proxy.address}", verify=proxy.trust, timeout=120) as session:
        yield session


@contextmanager
def live(proxy: Proxy, source: str, **headers: str) -> Iterator[ClientConnection]:
    """Live captions of a client at the address `source`."""
    trust = proxy.trust
    for last in (False, False, True):
        plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=30, source_address=(source, 0))
        with closing(plain):
            try:
                ws = connect(
                    f"wss://{proxy.address}/api/ws/stream",
                    sock=plain,
                    open_timeout=60,
                    ssl=trust,
                    additional_headers=headers,
                )
            except InvalidMessage:  # closed without an answer, as nginx does where a header takes longer than 10 s
                if last:
                    raise
                continue
            with ws:
                yield ws
            return


def events(ws: ClientConnection) -> list[dict[str, Any]]:
    """All that come until the connection is closed."""
    found = []
    try:
        while True:
            found.append(json.loads(ws.recv(timeout=120)))
    except ConnectionClosed:
        return found


def test_pages_come_over_tls_and_plain_http_is_sent_there(proxy: Proxy, client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/api/health/ready").status_code == 200
    moved = httpx.get(f"http://localhost:{proxy.http_port}/docs")
    assert moved.status_code == 308
    assert moved.headers["location"].startswith("https://localhost")
    assert moved.headers["location"].endswith("/docs")


def test_a_page_may_send_and_pages_of_others_may_not(proxy: Proxy, client: httpx.Client) -> None:
    """The service has to learn the port and the name that the browser sees."""
    own = client.post("/api/inference/landmarks", json={}, headers={"Origin": f"https://{proxy.address}"})
    assert own.status_code == 422
    foreign = client.post("/api/inference/landmarks", json={}, headers={"Origin": "https://example.org"})
    assert foreign.status_code == 403


def test_a_clip_is_read(client: httpx.Client, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", frames=5).read_bytes()
    answer = client.post("/api/inference/predict", files={"file": clip})
    assert answer.status_code == 200, answer.text
    assert answer.json()["frame_count"] == 5
    assert answer.headers["x-request-id"]


def test_what_is_too_large_for_the_service_gets_its_answer(client: httpx.Client) -> None:
    answer = client.post("/api/inference/predict", files={"file": bytes((SERVICE_LIMIT << 20) + 1000)})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "upload_too_large"


def test_what_is_too_large_for_the_proxy_never_reaches_the_service(proxy: Proxy, service: Service) -> None:
    length = 1 << 30
    head = f"POST /api/inference/predict HTTP/1.1\r\nHost: {proxy.address}\r\nContent-Length: {length}\r\n\r\n"
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    with closing(plain), proxy.trust.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(head.encode() + bytes(1 << 20))
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert uploads_left(service.process.pid) == []


def test_an_upload_arrives_while_it_is_sent(proxy: Proxy, service: Service) -> None:
    """So that the service can end slow ones, and refuse one that is too large in the middle of it."""
    start_of_form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + bytes(1 << 20)
    head = (
        f"POST /api/inference/predict HTTP/1.1\r\nHost: {proxy.address}\r\nContent-Length: {2 << 20}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    with closing(plain), proxy.trust.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(head.encode() + start_of_form)
        until(lambda: len(uploads_left(service.process.pid)) == 1)
    until(lambda: uploads_left(service.process.pid) == [])


def test_live_captions(proxy: Proxy) -> None:
    with live(proxy, "127.0.0.1") as ws:
        ws.send(json.dumps({"type": "start"}))
        for points in performance(20).tolist():
            ws.send(json.dumps({"type": "landmarks", "points": points}))
        ws.send(json.dumps({"type": "stop"}))
        found = events(ws)
    assert found[0]["type"] == "ready"
    assert found[-1]["type"] == "done"
    assert found[-1]["usage"]["received"] == 20


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="+".join)
async def test_socket_io(proxy: Proxy, transports: list[str]) -> None:
    predicted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=proxy.trust)) as session:
        sio = socketio.AsyncClient(http_session=session)
        sio.on("prediction", predicted.put)
        await sio.connect(f"https://{proxy.address}", transports=transports)
        try:
            assert sio.transport() == transports[-1]
            await sio.emit("frame", {"image": base64.b64encode(jpeg(64, 48)).decode()})
            assert (await asyncio.wait_for(predicted.get(), 120))["label"] == "none"
        finally:
            await sio.disconnect()


def test_the_address_of_the_caller_goes_through_and_cannot_be_invented(proxy: Proxy, service: Service) -> None:
    """The limit of one live session per address applies to the clients, not to the proxy that all come from."""
    with live(proxy, "127.0.0.2") as first:
        first.send(json.dumps({"type": "start"}))
        assert json.loads(first.recv(timeout=60))["type"] == "ready"
        with live(proxy, "127.0.0.3") as other:
            other.send(json.dumps({"type": "start"}))
            assert json.loads(other.recv(timeout=60))["type"] == "ready"
        for headers in ({}, {"X-Forwarded-For": "127.0.0.9"}, {"Forwarded": "for=127.0.0.9", "X-Real-IP": "127.0.0.9"}):
            with live(proxy, "127.0.0.2", **headers) as again:
                assert [event["code"] for event in events(again)] == ["address_full"]
    # One that goes around the proxy is not believed either: its address is no trusted one.
    with socket.create_connection(("127.0.0.1", service.port), source_address=("127.0.0.4", 0)) as plain:
        address = f"ws://127.0.0.1:{service.port}/api/ws/stream"
        with connect(address, sock=plain, open_timeout=60, additional_headers={"X-Forwarded-For": "127.0.0.5"}) as held:
            held.send(json.dumps({"type": "start"}))
            held.recv(timeout=60)
            with live(proxy, "127.0.0.5") as not_held:
                not_held.send(json.dumps({"type": "start"}))
                assert json.loads(not_held.recv(timeout=60))["type"] == "ready"
            with live(proxy, "127.0.0.4") as again:
                assert [event["code"] for event in events(again)] == ["address_full"]


async def test_grpc(proxy: Proxy) -> None:
    """Calls, a stream both ways, and their statuses."""
    secured = grpc.ssl_channel_credentials(proxy.certificate.read_bytes())
    async with grpc.aio.secure_channel(proxy.address, secured) as channel:
        stub = captioner_pb2_grpc.CaptionerStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Recognise(pb.RecogniseRequest(), timeout=60)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert dict(refused.value.trailing_metadata())["x-request-id"]
        call = stub.StreamCaptions(timeout=120)
        await call.write(pb.StreamCaptionsRequest(start=pb.Start()))
        assert (await call.read()).WhichOneof("event") == "ready"
        await call.write(pb.StreamCaptionsRequest(ping=pb.Ping()))
        while (await call.read()).WhichOneof("event") != "pong":
            pass
        await call.write(pb.StreamCaptionsRequest(stop=pb.Stop()))
        while (event := await call.read()) is not grpc.aio.EOF:
            last = event
        assert last.WhichOneof("event") == "done"
        assert await call.code() is grpc.StatusCode.OK


def test_grpc_believes_a_trusted_proxy_about_the_address(proxy: Proxy, grpc_port: int) -> None:
    # gRPC's blocking client: its asyncio client puts INTERNAL in the place of the status when the server refuses a call
    # before the first message was written.
    with live(proxy, "127.0.0.6") as held:
        held.send(json.dumps({"type": "start"}))
        held.recv(timeout=60)
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            stub = captioner_pb2_grpc.CaptionerStub(channel)
            for forwarded, status in (("127.0.0.6", "RESOURCE_EXHAUSTED"), ("127.0.0.8", "OK")):
                call = stub.StreamCaptions(
                    iter([pb.StreamCaptionsRequest(stop=pb.Stop())]),
                    metadata=(("x-forwarded-for", f"127.0.0.9, {forwarded}"),),
                    timeout=60,
                )
                with contextlib.suppress(grpc.RpcError):
                    list(call)
                assert call.code().name == status


def test_metrics_stay_inside(client: httpx.Client, service: Service) -> None:
    assert client.get("/metrics").status_code == 404
    assert httpx.get(f"{service.address}/metrics", timeout=60).status_code == 200


class _Named(BaseHTTPRequestHandler):
    """Answers with the port it was reached at."""

    def do_GET(self) -> None:
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_clients_stay_with_the_process_they_began_with(name: str, tmp_path: Path) -> None:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Named) for _ in range(3)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    try:
        addresses = [f"127.0.0.1:{server.server_address[1]}" for server in servers]
        reached = set()
        with PROXIES[name](tmp_path, addresses, "127.0.0.1:9", PROXY_LIMIT) as proxy:
            for number in range(2, 14):
                transport = httpx.HTTPTransport(verify=proxy.trust, local_address=f"127.0.0.{number}")
                with httpx.Client(transport=transport, base_url=f"https://{proxy.address}") as client:
                    own = {client.get("/").text for _ in range(4)}
                assert len(own) == 1
                reached |= own
        assert len(reached) > 1
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
