"""The service as users run it: a uvicorn process and a socket."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import grpc
import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.media import video
from tests.support.problems import uploads_left
from tests.support.processes import Service, answers, free_port, start, until
from tests.support.recognisers import performance

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
FORM_START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.fixture(scope="module")
def environment(tiny_checkpoints: Path) -> dict[str, str]:
    return {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(tiny_checkpoints),
        "DEVICE": "cpu",
        "MAX_UPLOAD_MB": "8",
        "UPLOAD_IDLE_TIMEOUT_S": "2",
        "EXTRACTOR_WORKERS": "1",
        "TRAINING": "false",
    }


@pytest.fixture(scope="module")
def service(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = start(tmp_path_factory.mktemp("service") / "log", environment)
    try:
        until(lambda: answers(running))
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


def head(length: int | None) -> bytes:
    how = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return (
        "POST /api/inference/predict HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\n{how}\r\n\r\n"
    ).encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def read_all(client: socket.socket) -> str:
    client.settimeout(120)
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received.decode()


def test_a_gigabyte_is_refused_by_its_length_before_it_is_sent(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head(1 << 30))
        answer = read_all(client)
    assert answer.startswith("HTTP/1.1 413 ")
    assert '"code":"upload_too_large"' in answer


def test_a_gigabyte_without_a_length_is_refused_while_it_comes_in(service: Service) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head(None) + chunk(FORM_START))
        client.setblocking(False)
        answer = b""
        megabyte = chunk(bytes(1 << 20))
        while sent < 1 << 30 and not answer:
            client.settimeout(120)
            try:
                client.sendall(megabyte)
                sent += 1 << 20
                client.settimeout(0.01)
                answer = client.recv(65536)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                client.settimeout(120)
                answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 64 << 20
    assert uploads_left(service.process.pid) == []


def test_an_upload_that_stalls_is_ended(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head(1000) + FORM_START)
        answer = read_all(client)
    assert answer.startswith("HTTP/1.1 408 ")
    assert uploads_left(service.process.pid) == []


def test_a_client_that_leaves_during_the_upload_leaves_nothing(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head(1000) + FORM_START + b"x" * 100)
        until(lambda: len(uploads_left(service.process.pid)) == 1)
    until(lambda: uploads_left(service.process.pid) == [])
    assert answers(service)


def test_a_client_that_leaves_during_the_work_stops_it(service: Service, tmp_path: Path) -> None:
    def load() -> int:
        requests: int = httpx.get(f"{service.address}/api/health/system", timeout=60).json()["load"]["requests"]
        return requests

    clip = video(tmp_path / "long.mp4", frames=2500, width=320, height=240).read_bytes()
    body = FORM_START + clip + b"\r\n--b--\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head(len(body)) + body)
        until(lambda: load() == 1)
    until(lambda: load() == 0)
    until(lambda: uploads_left(service.process.pid) == [])
    assert "the client disconnected" in service.log.read_text()
    short = video(tmp_path / "short.mp4", frames=3).read_bytes()
    answer = httpx.post(f"{service.address}/api/inference/predict", files={"file": short}, timeout=120)
    assert answer.status_code == 200, answer.text


def test_the_health_script(service: Service) -> None:
    good = subprocess.run([ROOT / "health_check.sh", service.address], capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert '"status":"healthy"' in good.stdout
    bad = subprocess.run([ROOT / "health_check.sh", "http://127.0.0.1:9"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "does not answer" in bad.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CHECKPOINT": "none-such"}, ["CHECKPOINT=none-such: no such checkpoint"]),
        ({"DEVICE": "cuda:77"}, ["DEVICE=cuda:77"]),
        ({"DEVICE": "abacus", "MAX_UPLOAD_MB": "lots"}, ["'auto', 'cpu', 'cuda'", "MAX_UPLOAD_MB='lots'"]),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_message(
    environment: dict[str, str], tmp_path: Path, change: dict[str, str], said: list[str]
) -> None:
    running = start(tmp_path / "log", {**environment, **change})
    try:
        assert running.process.wait(300) not in (0, None)
    finally:
        running.process.kill()
    log = running.log.read_text()
    assert [text for text in said if text not in log] == []
    assert "Traceback" not in log


def test_a_damaged_checkpoint_ends_the_start_with_its_message(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"not weights")
    (folder / "config.json").write_bytes((Path(environment["CHECKPOINT_DIR"]) / "tiny" / "config.json").read_bytes())
    running = start(tmp_path / "log", {**environment, "CHECKPOINT_DIR": str(folder.parent)})
    try:
        assert running.process.wait(300) not in (0, None)
    finally:
        running.process.kill()
    log = running.log.read_text()
    assert "cannot read the weights" in log
    assert "Traceback" not in log


def test_a_crash_of_the_landmark_process_ends_no_session(service: Service) -> None:
    """A live session and the service outlive a crash in native code; clips are read again at once."""

    def landmark_process() -> psutil.Process:
        children = psutil.Process(service.process.pid).children()
        (child,) = [child for child in children if "app.services.landmarks.child" in child.cmdline()]
        return child

    capture = cv2.VideoCapture(str(ROOT / "app" / "signer" / "samples" / "hello.mp4"))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(cv2.imencode(".jpg", cv2.resize(read[1], (320, 180)))[1].tobytes())
    with connect(f"ws://127.0.0.1:{service.port}/ws/stream") as client:
        client.send('{"type": "start"}')
        for i, picture in enumerate([*pictures, *pictures]):
            if i == 10:
                os.kill(landmark_process().pid, signal.SIGABRT)
            client.send(struct.pack("<BBHIQ", 1, 1, 0, 0, i * 40_000) + picture)
            time.sleep(0.04)
        events: list[dict[str, object]] = []
        while not any(event["type"] == "partial" and event["gloss"] for event in events):  # images sent after the crash
            events.append(json.loads(client.recv(timeout=60)))
    assert [event["code"] for event in events if event["type"] == "error"] == ["invalid_frame"]
    assert answers(service)
    with (ROOT / "app" / "signer" / "samples" / "hello.mp4").open("rb") as clip:
        assert httpx.post(f"{service.address}/api/inference/predict", files={"file": clip}, timeout=300).is_success


def test_every_line_of_the_log_is_json(environment: dict[str, str], tmp_path: Path) -> None:
    """Those of native libraries and of a crash in them included, from the first line to the last."""
    changes = {"LOG_JSON": "true", "LOG_LEVEL": "DEBUG", "GRPC_PORT": str(free_port()), "GRPC_VERBOSITY": "debug"}
    running = start(tmp_path / "log", {**environment, **changes, "GRPC_TRACE": "http"})
    try:
        until(lambda: answers(running))
        clip = (ROOT / "app/signer/samples/hello.mp4").read_bytes()
        assert httpx.post(f"{running.address}/api/inference/predict", files={"file": clip}, timeout=300).is_success
        with grpc.insecure_channel(f"127.0.0.1:{changes['GRPC_PORT']}") as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/glossline.v1.Captioner/Recognise")(b"", timeout=60)
        children = psutil.Process(running.process.pid).children()
        os.kill(next(c.pid for c in children if "app.services.landmarks.child" in c.cmdline()), signal.SIGSEGV)
        assert httpx.post(f"{running.address}/api/inference/predict", files={"file": clip}, timeout=300).is_success
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
    finally:
        running.process.kill()
        running.process.wait(10)
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert all({"time", "level", "event", "message"} <= set(line) for line in lines)
    native = [line for line in lines if line["event"] == "native"]
    assert any("Segmentation fault" in line["message"] for line in native)
    assert any(re.match(r"(chttp2|server|hpack|frame|flow|tcp|http2|grpc)", line.get("source", "")) for line in native)
    assert {"http_request", "grpc_call"} <= {line["event"] for line in lines}


def test_settings_that_cannot_be_used_are_one_line_of_json(environment: dict[str, str], tmp_path: Path) -> None:
    for command in (["-m", "uvicorn", "app.main:app"], ["-m", "app", "serve"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **environment, "LOG_JSON": "true", "MAX_BATCH": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        [line] = [json.loads(line) for line in done.stderr.splitlines()]
        assert line["level"] == "CRITICAL"
        assert "MAX_BATCH='0'" in line["message"]


def test_sigterm_ends_live_sessions_in_order_then_the_service_and_leaves_no_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    running = start(tmp_path / "log", environment)
    events: list[dict[str, object]] = []
    try:
        until(lambda: answers(running))
        children = psutil.Process(running.process.pid).children(recursive=True)
        with connect(f"ws://127.0.0.1:{running.port}/ws/stream") as client:
            client.send('{"type": "start"}')
            events.append(json.loads(client.recv(timeout=30)))
            header = struct.pack("<BBHIQ", 1, 3, 0, 0, 0)
            client.send(header + performance(60).astype("<f2").tobytes())
            running.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    events.append(json.loads(client.recv(timeout=30)))
            assert client.close_code == 1012
        assert running.process.wait(60) in (0, -signal.SIGTERM)
    finally:
        running.process.kill()
        running.process.wait(10)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "ready"
    assert "closing" in kinds
    assert kinds[-1] == "error"
    assert events[-1]["code"] == "draining"
    assert children
    assert [process for process in children if process.is_running()] == []
    assert "Traceback" not in running.log.read_text()


def test_a_busy_camera_gets_its_last_sentence_when_the_process_is_stopped(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """More pictures than the machine reads, without a pause, also after SIGTERM: final, then closing, then 1012."""
    capture = cv2.VideoCapture(str(ROOT / "app" / "signer" / "samples" / "hello_welcome.mp4"))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(cv2.imencode(".jpg", cv2.resize(read[1], (640, 360)))[1].tobytes())
    running = start(tmp_path / "log", environment)
    until(lambda: answers(running))
    events: list[dict[str, object]] = []
    stopped = False
    try:
        with connect(f"ws://127.0.0.1:{running.port}/ws/stream") as client:
            client.send(json.dumps({"type": "start", "endpoint_ms": 10_000}))

            def film() -> None:
                with contextlib.suppress(ConnectionClosed):
                    for picture in itertools.cycle(pictures):
                        client.send(struct.pack("<BBHIQ", 1, 1, 0, 0, 0)[:8] + now_us() + picture)
                        time.sleep(1 / 60)

            camera = threading.Thread(target=film)
            try:
                while True:
                    events.append(json.loads(client.recv(timeout=60)))
                    if events[-1]["type"] == "ready":
                        camera.start()
                    if events[-1]["type"] == "partial" and events[-1]["gloss"] and not stopped:
                        stopped = True
                        running.process.send_signal(signal.SIGTERM)
            except ConnectionClosed:
                pass
            assert client.close_code == 1012
            camera.join(60)
        assert running.process.wait(60) in (0, -signal.SIGTERM)
    finally:
        running.process.kill()
        running.process.wait(10)
    kinds = [event["type"] for event in events]
    assert stopped
    last_words = [kind for kind in kinds if kind in ("partial", "final", "closing", "error")]
    assert last_words[-3:] == ["final", "closing", "error"]
    assert events[-1]["code"] == "draining"


def now_us() -> bytes:
    return struct.pack("<Q", time.monotonic_ns() // 1000)
