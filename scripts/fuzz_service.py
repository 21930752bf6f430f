"""Mutated input of every kind against one running service, with an honest session beside it.

    python scripts/fuzz_service.py --minutes 30 --seed 1 --out fuzz
    python scripts/fuzz_service.py --replay video:1234 --seed 1

Starts the service itself on loopback, on a free port and in folders of its own, and prints at the end: cases by kind
and answer, exits of the process, answers of 500 (their inputs are kept in --out), tracebacks in its log, memory after
warming up and a rest, at its peak and after another rest, and how long /api/health/live took throughout. A case is
made of --seed, its kind and its number alone, so --replay sends any of them again. Ends with status 1 when there was
an exit, an answer of 500, a traceback in the log, or more memory than --grown-percent over what was there before.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import av  # noqa: E402
import grpc  # noqa: E402
import httpx  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import websockets  # noqa: E402
from PIL import Image  # noqa: E402

from app.rpc.glossline.v1 import captioner_pb2 as pb  # noqa: E402
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub  # noqa: E402

HEADER = struct.Struct("<BBHIQ")
VIDEO_SEEDS = (
    ("mp4", "libx264", "yuv420p"),
    ("mkv", "libvpx-vp9", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("ts", "mpeg2video", "yuv420p"),
    ("flv", "flv", "yuv420p"),
    ("mkv", "ffv1", "yuv420p"),
    ("gif", "gif", "rgb8"),
)
#: Seconds after which a request counts as hanging.
PATIENCE_S = 120.0
#: gRPC's statuses that say that the server is at fault.
RPC_FAULTS = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
#: What clients name as the vocabulary, good and bad: names, lists of glosses, and what is neither.
VOCABULARIES: tuple[Any, ...] = (
    None,
    "everyday",
    "core",
    "all",
    ["HELLO", "thank you", "NAME", "HELLO"],
    ["HELLO"],
    "evryday",
    "custom",
    "",
    "\0" * 50_000,
    [],
    [""],
    ["HELO", "MOTER"],
    [f"GLOSS-{number}" for number in range(4_000)],
    ["HELLO"] * 10_000,
    [""] * 30_000,
    7,
    {"name": "core"},
    [["HELLO"]],
)


def made_up_landmarks(frames: int) -> dict[str, np.ndarray]:
    pose = np.full((frames, 33, 3), 0.5, np.float32)
    pose[..., 1] = np.linspace(0.2, 0.95, 33, dtype=np.float32)
    pose[:, 11, :2], pose[:, 12, :2] = (0.65, 0.45), (0.35, 0.45)
    hand = np.random.default_rng(0).uniform(0.4, 0.6, (1, 21, 2)).astype(np.float32)
    sway = (np.sin(np.arange(frames) / 5) * 0.05).astype(np.float32)[:, None, None]
    return {"pose": pose, "left": hand + 0.1 + sway, "right": hand - 0.1 - sway}


def stacked(frames: int) -> np.ndarray:
    """(frames, 75, 3) float16, as the wire takes them."""
    found = made_up_landmarks(frames)
    hands = [np.concatenate([found[side], np.ones((frames, 21, 1))], axis=2) for side in ("left", "right")]
    return np.concatenate([found["pose"], *hands], axis=1).astype("<f2")


def video_seed(folder: Path, suffix: str, codec: str, pixels: str) -> bytes:
    path = folder / f"seed.{suffix}"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (64, 96, 3), dtype=np.uint8), format="rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def image_seed(**options: Any) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, **options)
    return buffer.getvalue()


def pose_seed() -> bytes:
    from pose_format import Pose
    from pose_format.numpy.pose_body import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = (("POSE_LANDMARKS", 33), ("LEFT_HAND_LANDMARKS", 21), ("RIGHT_HAND_LANDMARKS", 21))
    components = [PoseHeaderComponent(name, [str(i) for i in range(n)], [], [], "XYZC") for name, n in parts]
    points = np.ma.masked_array(np.random.default_rng(0).random((12, 1, 75, 3)) * 400)
    body = NumPyPoseBody(25, points, np.ones((12, 1, 75)))
    buffer = io.BytesIO()
    Pose(PoseHeader(0.2, PoseHeaderDimensions(640, 480, 0), components), body).write(buffer)
    return buffer.getvalue()


def seeds() -> dict[str, list[bytes]]:
    """Good files of each kind, from which the bad ones are made."""
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **made_up_landmarks(12))
    np.savez_compressed(packed, **made_up_landmarks(12))
    with tempfile.TemporaryDirectory() as folder:
        videos = [video_seed(Path(folder), *kind) for kind in VIDEO_SEEDS]
    body = {name: values.round(3).tolist() for name, values in made_up_landmarks(2).items()}
    return {
        "video": videos,
        "image": [
            image_seed(format="JPEG"),
            image_seed(format="JPEG", progressive=True),
            image_seed(format="WEBP"),
            image_seed(format="WEBP", lossless=True),
        ],
        "npz": [plain.getvalue(), packed.getvalue()],
        "pose": [pose_seed()],
        "json": [
            json.dumps(body).encode(),
            json.dumps({"points": stacked(1).astype(float).round(3).tolist(), "fps": 25}).encode(),
            b'{"points": [], "fps": 25, "width": 4, "height": 3, "times": [0]}',
        ],
    }


def mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    zone = chance.choice([min(len(out), 600), len(out)])
    for _ in range(chance.choice([1, 1, 2, 4, 10])):
        zone = min(zone, len(out))
        if zone < 2:
            break
        at, kind = chance.randrange(zone), chance.random()
        if kind < 0.5:
            out[at] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
        elif kind < 0.7:
            out[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"])
        elif kind < 0.8:
            del out[at : at + chance.choice([1, 4, 100])]
        elif kind < 0.9:
            out[at:at] = chance.randbytes(chance.choice([1, 4, 40]))
        elif kind < 0.95:
            out[at:at] = out[at : at + chance.choice([2, 50, 2000])] * chance.choice([1, 3, 30])
        else:
            del out[at:]
    return bytes(out)


def as_text(vocabulary: Any) -> str:
    """As a query or a form has it."""
    return ",".join(map(str, vocabulary)) if isinstance(vocabulary, list) else str(vocabulary)


def as_message(vocabulary: Any) -> pb.Vocabulary:
    """As gRPC has it, where anything but glosses is a name."""
    if vocabulary is None:
        return pb.Vocabulary()
    if isinstance(vocabulary, list):
        return pb.Vocabulary(glosses=pb.Glosses(gloss=map(str, vocabulary)))
    return pb.Vocabulary(name=str(vocabulary))


class Fuzzer:
    """Sends cases to one service and counts what came back."""

    def __init__(self, seed: int, out: Path) -> None:
        self.seed, self.out, self.seeds = seed, out, seeds()
        self.port, self.grpc_port = 0, 0
        self.answers: dict[str, Counter[str]] = {}
        self.faults: list[str] = []
        self.slowest: dict[str, float] = {}
        self.kinds: dict[str, Callable[[random.Random], Awaitable[tuple[str, bytes]]]] = {
            "video": self._video,
            "frames": self._frames,
            "npz": lambda chance: self._landmark_file(chance, "npz"),
            "pose": lambda chance: self._landmark_file(chance, "pose"),
            "json_file": lambda chance: self._landmark_file(chance, "json"),
            "json_body": self._json_body,
            "websocket": self._websocket,
            "socketio": self._socketio,
            "grpc": self._grpc,
        }

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def case(self, kind: str, number: int) -> None:
        """One case, whatever it does to the service."""
        chance = random.Random(f"{self.seed}:{kind}:{number}")
        began, sent = time.monotonic(), b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer, sent = await self.kinds[kind](chance)
        except TimeoutError:
            answer = "hangs"
        except (httpx.HTTPError, websockets.WebSocketException, OSError, EOFError) as error:
            answer = f"lost ({type(error).__name__})"
        self.answers.setdefault(kind, Counter())[answer] += 1
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), time.monotonic() - began)
        if answer in ("500", "1011", "hangs") or answer in {status.name for status in RPC_FAULTS}:
            self.faults.append(f"{kind}:{number} {answer}")
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / f"{kind}-{self.seed}-{number}.bin").write_bytes(sent)

    def _bad(self, kind: str, chance: random.Random) -> bytes:
        good = chance.choice(self.seeds[kind])
        return good if chance.random() < 0.02 else mutated(good, chance)

    async def _post(self, route: str, sent: bytes, chance: random.Random, **content: Any) -> tuple[str, bytes]:
        """With a vocabulary in the query, or for a file in the form, now and then."""
        place, asked = chance.choice(["query", "form", "", ""]), as_text(chance.choice(VOCABULARIES))
        if place == "query":
            route += f"?vocabulary={quote(asked)[:60_000]}"
        elif place == "form" and "files" in content:
            content["data"] = {"vocabulary": asked}
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            answer = await client.post(f"http://{self.host}/api/inference/{route}", **content)
        return str(answer.status_code), sent

    async def _video(self, chance: random.Random) -> tuple[str, bytes]:
        data = self._bad("video", chance)
        return await self._post("predict", data, chance, files={"file": ("clip.mp4", data)})

    async def _frames(self, chance: random.Random) -> tuple[str, bytes]:
        frames = [base64.b64encode(self._bad("image", chance)).decode() for _ in range(chance.randrange(1, 4))]
        fps = chance.choice([25, 1, 240, 0, -1, None, "x", 1e300])
        data = json.dumps({"frames": frames, "fps": fps, "vocabulary": chance.choice(VOCABULARIES)}).encode()
        data = mutated(data, chance) if chance.random() < 0.2 else data
        return await self._post("frames", data, chance, content=data, headers={"content-type": "application/json"})

    async def _landmark_file(self, chance: random.Random, kind: str) -> tuple[str, bytes]:
        data = self._bad(kind, chance)
        return await self._post("landmarks", data, chance, files={"file": (f"clip.{kind}", data)})

    async def _json_body(self, chance: random.Random) -> tuple[str, bytes]:
        data = self._bad("json", chance)
        if chance.random() < 0.3:
            good = {**json.loads(self.seeds["json"][0]), "vocabulary": chance.choice(VOCABULARIES)}
            data = json.dumps(good).encode()
        elif chance.random() < 0.2:
            deep = chance.choice([10, 1000, 50_000])
            data = chance.choice([b"[" * deep, b'{"points":' * deep, b'{"fps":' + b"9" * deep + b"}", b'"\\ud800"' * 3])
        return await self._post("landmarks", data, chance, content=data, headers={"content-type": "application/json"})

    def _message(self, chance: random.Random) -> str | bytes:
        """One message of a live client, good or hostile."""
        points = stacked(chance.randrange(1, 9))
        time_us = chance.choice([chance.randrange(10**7), 0, 2**63, 2**64 - 1])
        image = self._bad("image", chance)
        match chance.randrange(10):
            case 0:
                return HEADER.pack(1, 3, 0, 0, time_us) + points.tobytes()
            case 1:
                return HEADER.pack(1, chance.choice([1, 2]), 0, 0, time_us) + image
            case 2:
                return mutated(HEADER.pack(1, 3, 0, 0, time_us) + points.tobytes(), chance)
            case 3:
                return json.dumps({"type": "frame", "data": base64.b64encode(image).decode(), "timestamp": time_us})
            case 4:
                kind = chance.choice(["start", "flush", "pause", "ack", "ping", "stop", "landmarks", "start", "x"])
                return json.dumps(
                    {
                        "type": kind,
                        "window": chance.choice([64, 0, -1, 10**9, "é"]),
                        "fps": chance.choice([25, 0, 1e308]),
                        "seq": chance.choice([1, -1, 2**70]),
                        "points": [[0.5, 0.5, 1]] * chance.choice([75, 74]),
                        "resume": chance.choice([None, {"session_id": "x", "token": "é", "last_seq": 0}]),
                    }
                )
            case 5:
                return mutated(b'{"type":"start","targets":["en","es"],"interim":true}', chance).decode("latin-1")
            case 6:
                return chance.choice(
                    ["[" * 20_000, '{"type":' * 5000, "9" * 5000, "NaN", '"\\ud800"', "{}", "null", ""]
                )
            case 7 | 8:  # before the first frame, or in the middle of a session
                kind = chance.choice(["start", "vocabulary", "vocabulary"])
                return json.dumps({"type": kind, "vocabulary": chance.choice(VOCABULARIES)})
            case _:
                return chance.randbytes(chance.randrange(200))

    async def _websocket(self, chance: random.Random) -> tuple[str, bytes]:
        sent = b""
        path = chance.choice(["/api/ws/stream", "/ws/stream"])
        try:
            async with websockets.connect(f"ws://{self.host}{path}", open_timeout=60) as ws:
                for _ in range(chance.randrange(1, 30)):
                    message = self._message(chance)
                    sent += (message if isinstance(message, bytes) else message.encode(errors="replace")) + b"\n"
                    await ws.send(message)
                if chance.random() < 0.5:
                    await ws.send('{"type":"stop"}')
                    async with asyncio.timeout(60):
                        async for _ in ws:
                            pass
        except websockets.InvalidStatus as refused:
            return str(refused.response.status_code), sent
        except (websockets.ConnectionClosed, UnicodeEncodeError):
            pass
        return str(ws.close_code or "gone") if "ws" in locals() else "refused", sent

    async def _socketio(self, chance: random.Random) -> tuple[str, bytes]:
        sent = b""
        try:
            asked = quote(as_text(chance.choice(VOCABULARIES))[:2000])
            query = f"&vocabulary={asked}" if chance.random() < 0.3 else ""
            address = f"ws://{self.host}/socket.io/?EIO=4&transport=websocket{query}"
            async with websockets.connect(address, open_timeout=60) as ws:
                await ws.recv()
                await ws.send("40")
                for _ in range(chance.randrange(1, 15)):
                    image = base64.b64encode(self._bad("image", chance)).decode()
                    good = "42" + json.dumps(["frame", {"image": image}])
                    change = "42" + json.dumps(["vocabulary", {"vocabulary": chance.choice(VOCABULARIES)}])
                    packet = chance.choice(
                        [
                            good,
                            change,
                            mutated(good.encode(), chance).decode("latin-1"),
                            "42[]",
                            "451-[]",
                            "41",
                            "4",
                            "99",
                            "2",
                        ]
                    )
                    sent += packet.encode() + b"\n"
                    await ws.send(packet)
        except websockets.InvalidStatus as refused:
            return str(refused.response.status_code), sent
        except websockets.ConnectionClosed:
            pass
        return str(ws.close_code or "gone") if "ws" in locals() else "refused", sent

    async def _grpc(self, chance: random.Random) -> tuple[str, bytes]:
        kind = chance.choice(["video", "frames", "landmarks", "raw", "stream"])
        if kind == "stream":
            return await self._grpc_stream(chance)
        data = self._bad("video" if kind == "video" else "image", chance)
        match kind:
            case "video":
                clip = pb.Clip(video=data)
            case "frames":
                clip = pb.Clip(frames=pb.Frames(jpeg=[data], fps=chance.choice([25.0, 0.0, float("nan"), 1e300])))
            case _:
                data = mutated(stacked(4).tobytes(), chance)
                points = pb.PackedPoints(float16=data)
                clip = pb.Clip(
                    landmarks=pb.ClipLandmarks(points=points, aspect=chance.choice([1.0, 0.0, float("nan")]))
                )
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            try:
                if kind == "raw":
                    call = channel.unary_unary("/glossline.v1.Captioner/Recognise")
                    asked = pb.RecogniseRequest(clip=clip, vocabulary=as_message(chance.choice(VOCABULARIES)))
                    data = mutated(asked.SerializeToString(), chance)
                    await call(data, timeout=PATIENCE_S)
                else:
                    asked = pb.RecogniseRequest(clip=clip, vocabulary=as_message(chance.choice(VOCABULARIES)))
                    await CaptionerStub(channel).Recognise(asked, timeout=PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                # The gRPC library itself answers INTERNAL to bytes that are not a message; none of our code has run.
                own = not (
                    kind == "raw" and error.code() is grpc.StatusCode.INTERNAL and "eserializ" in error.details()
                )
                return (error.code().name if own else "not a message"), data
        return "OK", data

    async def _grpc_stream(self, chance: random.Random) -> tuple[str, bytes]:
        """A stream that changes its vocabulary between landmarks."""
        first = pb.Start(vocabulary=as_message(chance.choice(VOCABULARIES)))
        messages = [pb.StreamCaptionsRequest(start=first)] if chance.random() < 0.5 else []
        for _ in range(chance.randrange(1, 20)):
            points = pb.PackedPoints(float16=stacked(8).tobytes())
            change = as_message(chance.choice(VOCABULARIES))
            messages.append(
                chance.choice(
                    [
                        pb.StreamCaptionsRequest(landmarks=pb.Landmarks(points=points)),
                        pb.StreamCaptionsRequest(vocabulary=change),
                        pb.StreamCaptionsRequest(flush=pb.Flush()),
                    ]
                )
            )
        messages.append(pb.StreamCaptionsRequest(stop=pb.Stop()))
        sent = b"".join(message.SerializeToString() for message in messages)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            try:
                async for _ in CaptionerStub(channel).StreamCaptions(iter(messages), timeout=PATIENCE_S):
                    pass
            except grpc.aio.AioRpcError as error:
                return error.code().name, sent
        return "OK", sent


class Watch:
    """Memory, latency of /api/health/live, and an honest live session, while the fuzzer runs."""

    def __init__(self, fuzzer: Fuzzer) -> None:
        self.fuzzer, self.pid = fuzzer, 0
        self.peak = 0.0
        self.latencies: list[float] = []
        self.honest: Counter[str] = Counter()

    def memory_mb(self) -> float:
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            total = sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
            self.peak = max(self.peak, total / 1e6)
            return total / 1e6
        return 0.0

    async def rested_mb(self, rest_s: float) -> float:
        """The least of the last ten seconds of a rest, in which only the honest clients go on."""
        await asyncio.sleep(max(0.0, rest_s - 10))
        found = []
        for _ in range(10):
            await asyncio.sleep(1)
            found.append(self.memory_mb())
        return min(found)

    async def health(self) -> None:
        while True:
            began = time.monotonic()
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(timeout=60) as client:
                    await client.get(f"http://{self.fuzzer.host}/api/health/live")
            self.latencies.append(time.monotonic() - began)
            self.memory_mb()
            await asyncio.sleep(0.5)

    async def session(self) -> None:
        """Landmarks at camera speed; a sentence is asked for every 4 seconds. Opens again when it was closed."""
        points = stacked(100)
        while True:
            try:
                async with websockets.connect(f"ws://{self.fuzzer.host}/api/ws/stream", open_timeout=60) as ws:
                    self.honest["sessions"] += 1
                    reading = asyncio.create_task(self._read(ws))
                    try:
                        for number in range(10**9):
                            header = HEADER.pack(1, 3, 0, number % 2**32, number * 40_000)
                            await ws.send(header + points[number % 100].tobytes())
                            if number % 100 == 99:
                                await ws.send('{"type":"flush"}')
                                self.honest["flushes"] += 1
                            await asyncio.sleep(0.04)
                    finally:
                        reading.cancel()
            except (OSError, websockets.WebSocketException):
                self.honest["lost connections"] += 1
                await asyncio.sleep(1)

    async def _read(self, ws: websockets.ClientConnection) -> None:
        with suppress(websockets.ConnectionClosed):
            async for text in ws:
                self.honest[json.loads(text)["type"]] += 1

    async def uploads(self) -> None:
        """An honest video now and then."""
        data = next((REPOSITORY / "app/signer/samples").glob("*.mp4")).read_bytes()
        while True:
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                    files = {"file": ("hello.mp4", data)}
                    answer = await client.post(f"http://{self.fuzzer.host}/api/inference/predict", files=files)
                    self.honest[f"uploads answered {answer.status_code}"] += 1
            await asyncio.sleep(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start(fuzzer: Fuzzer, folder: Path) -> subprocess.Popen[bytes]:
    """The service, ready. Raises SystemExit where it does not start."""
    fuzzer.port, fuzzer.grpc_port = free_port(), free_port()
    own = {name: folder / name.lower() for name in ("TMPDIR", "DATA_DIR", "RUNS_DIR", "DATASETS_DIR")}
    for path in own.values():
        path.mkdir(exist_ok=True)
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(fuzzer.port),
        "GRPC_PORT": str(fuzzer.grpc_port),
        "TRAINING": "false",
        "CONNECTS_PER_ADDRESS": "1000000",
        "MAX_CLIENTS_PER_ADDRESS": "4096",
        **{name: str(path) for name, path in own.items()},
    }
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it takes no time, and nothing else runs yet
            [sys.executable, "-m", "app", "serve"],
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    for _ in range(600):
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient() as client:
                if (await client.get(f"http://{fuzzer.host}/api/health/ready")).status_code == 200:
                    return process
        if process.poll() is not None:
            break
        await asyncio.sleep(0.2)
    process.kill()
    raise SystemExit(f"the service does not start: {(folder / 'service.log').read_text(errors='replace')[-2000:]}")


async def fuzz(args: argparse.Namespace, folder: Path) -> bool:
    """True when nothing fell."""
    fuzzer = Fuzzer(args.seed, args.out)
    watch = Watch(fuzzer)
    process = await start(fuzzer, folder)
    watch.pid, exits = process.pid, []
    try:
        if args.replay:
            kind, _, number = args.replay.partition(":")
            await fuzzer.case(kind, int(number))
            print(args.replay, dict(fuzzer.answers[kind]), "exit status", process.poll())
            return not fuzzer.faults and process.poll() is None
        numbers = dict.fromkeys(fuzzer.kinds, 0)

        async def worker(until: float) -> None:
            nonlocal process
            while time.monotonic() < until:
                kind = min(numbers, key=lambda kind: numbers[kind])
                number, numbers[kind] = numbers[kind], numbers[kind] + 1
                await fuzzer.case(kind, number)
                if process.poll() is not None and process.pid == watch.pid:
                    exits.append(f"status {process.returncode} about {kind}:{number}")
                    watch.pid = -1
                    process = await start(fuzzer, folder)
                    watch.pid = process.pid

        async def run(seconds: float) -> None:
            until = time.monotonic() + seconds
            await asyncio.gather(*(worker(until) for _ in range(args.workers)))

        beside = [asyncio.create_task(work()) for work in (watch.session, watch.uploads, watch.health)]
        await run(args.warm_up_s)
        before, watch.peak = await watch.rested_mb(args.rest_s), 0.0
        began = time.monotonic()
        await run(args.minutes * 60)
        spent = time.monotonic() - began
        after = await watch.rested_mb(args.rest_s)
        for task in beside:
            task.cancel()
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            exits.append("did not end within 60 s of SIGTERM")
            process.kill()
    log = (folder / "service.log").read_text(errors="replace")
    print(f"{sum(numbers.values())} cases in {spent:.0f} s, seed {args.seed}")
    for kind, answers in fuzzer.answers.items():
        counts = ", ".join(f"{answer} x{count}" for answer, count in answers.most_common())
        print(f"  {kind:<10} {sum(answers.values()):>6}  slowest {fuzzer.slowest[kind]:.1f} s: {counts}")
    print(f"exits of the process: {len(exits)} {exits or ''}")
    print(f"answers of 500 and the like: {len(fuzzer.faults)} {fuzzer.faults[:20] or ''}")
    tracebacks = log.count("Traceback (most recent call last)") + log.count("was never retrieved")
    print(f"tracebacks in the log: {tracebacks}")
    print(
        f"memory: {before:.0f} MB after warming up, {watch.peak:.0f} MB at its peak, {after:.0f} MB at the end "
        f"({(after / max(before, 1) - 1) * 100:+.1f} %); both after {args.rest_s:g} s of rest"
    )
    waits = sorted(watch.latencies)
    print(
        f"/api/health/live: {len(waits)} times, p50 {statistics.median(waits) * 1e3:.0f} ms, "
        f"most {waits[-1] * 1e3:.0f} ms"
    )
    print(f"the honest clients: {dict(watch.honest)}")
    if tracebacks or exits:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "service.log").write_text(log)
    grown = after > before * (1 + args.grown_percent / 100)
    return not (exits or fuzzer.faults or tracebacks or grown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4, help="cases at once")
    parser.add_argument("--warm-up-s", type=float, default=120)
    parser.add_argument("--rest-s", type=float, default=120, help="longer than a session may be resumed")
    parser.add_argument("--grown-percent", type=float, default=10, help="memory that may stay, over what was there")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="folder for inputs that made something fall")
    parser.add_argument("--replay", metavar="KIND:NUMBER", help="send one case again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glossline-fuzz-") as folder:
        return 0 if asyncio.run(fuzz(args, Path(folder))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
