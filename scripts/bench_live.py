"""Load on a running service: live sessions at camera speed, and how far the captions lag behind.

    python scripts/bench_live.py --url ws://localhost:8000/ws/stream --kind landmarks --sessions 100 --seconds 30

Sessions send landmarks (--kind landmarks) or JPEG images of 640x480 (--kind jpeg) at --fps, each from a different
position on: real landmarks of dev signers if --data names the signs corpus, otherwise those of the prototype signer;
images from the videos in --clips. Lags are measured by the client: from sending a frame to the partial that covers it,
and from sending the last frame of a sign to the `final` that contains it. The word error rate compares the live result
with the answer of POST /api/inference/landmarks for the same frames. With --clips-beside N, clips of two minutes of
landmarks are posted at once in the middle, to measure their effect on the captions. Where the service asks for
--page makes the sessions those of the page: its `start`, and landmarks one frame a message with the capture times of a
camera, which are never quite regular. --idle S first watches the service for S seconds without a client, and takes what
it used then off the processor time of a session. Where the service asks for
accounts, --token sends an access token or an API key; several of them are used in turn, and with --tickets each session
comes with a ticket of its token, as browsers do.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import secrets
import struct
import sys
import time
from dataclasses import dataclass, field
from itertools import chain, islice
from itertools import count as count_up
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import httpx  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import simplejpeg  # noqa: E402
import websockets  # noqa: E402

from app.training.evaluation.wer import corpus_errors  # noqa: E402

HEADER = struct.Struct("<BBHIQ")


@dataclass
class Session:
    messages: list[bytes]
    points: np.ndarray | None
    fps: float
    vocabulary: str | None = None
    token: str | None = None
    captured_us: np.ndarray | None = None
    """Capture times of the frames; None: regular."""
    start: dict[str, Any] = field(default_factory=dict)
    """Fields of `start` beside those of every session."""
    ready_ms: float | None = None
    sent_at: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    server_lags: list[float] = field(default_factory=list)
    final_lags: list[float] = field(default_factory=list)
    glosses: list[str] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    began: float = 0.0

    def sent(self, stream_ms: float) -> float | None:
        if self.captured_us is not None:
            frame = int(np.searchsorted(self.captured_us - self.captured_us[0], stream_ms * 1000, side="right")) - 1
        else:
            frame = round(stream_ms / 1000 * self.fps) - 1
        return self.sent_at[frame] if 0 <= frame < len(self.sent_at) else None

    def receive(self, event: dict[str, Any]) -> None:
        now = time.perf_counter()
        if event["type"] == "partial" and (at := self.sent(event["until_ms"])) is not None:
            self.lags.append((now - at) * 1000)
            self.server_lags.append(event["lag_ms"])
        if event["type"] == "final":
            self.glosses += [g["gloss"] for g in event["gloss"]]
            if event["reason"] == "endpoint" and (at := self.sent(event["gloss"][-1]["end_ms"])) is not None:
                self.final_lags.append((now - at) * 1000)
        if event["type"] == "ready":
            self.ready_ms = (now - self.began) * 1000
        if event["type"] == "done":
            self.usage = event["usage"]
        if event["type"] == "error":
            self.problem = f"{event['code']}: {event['message']}"

    async def run(self, url: str, wait_s: float, tickets: asyncio.Semaphore | None = None) -> None:
        """tickets: so many are fetched at once; the service lets an address begin 64 requests at a time."""
        await asyncio.sleep(wait_s)
        headers = authorization(self.token)
        try:
            if tickets is not None:
                async with tickets, httpx.AsyncClient(timeout=60) as client:
                    answer = await client.post(f"http://{urlsplit(url).netloc}/api/auth/ticket", headers=headers)
                url, headers = f"{url}?ticket={answer.raise_for_status().json()['ticket']}", {}
            self.began = time.perf_counter()
            connecting = websockets.connect(
                url,
                compression=None,  # what the service agrees to with a browser too
                open_timeout=60,
                ping_timeout=None,
                additional_headers=headers,
                subprotocols=[websockets.Subprotocol("glossline.v1")],
            )
            async with connecting as socket:
                start = {"type": "start", "fps": self.fps, "vocabulary": self.vocabulary, **self.start}
                await socket.send(json.dumps(start))

                async def listen() -> None:
                    async for text in socket:
                        self.receive(json.loads(text))

                listening = asyncio.create_task(listen())
                began = time.perf_counter()
                for i, message in enumerate(self.messages):
                    due = i / self.fps
                    if self.captured_us is not None:
                        due = (self.captured_us[i] - self.captured_us[0]) / 1e6
                    if (early := began + due - time.perf_counter()) > 0:
                        await asyncio.sleep(early)
                    await socket.send(message)
                    self.sent_at.append(time.perf_counter())
                await socket.send('{"type": "stop"}')
                async with asyncio.timeout(60):
                    await listening
        except (OSError, websockets.WebSocketException, httpx.HTTPError, TimeoutError) as problem:
            self.problem = self.problem or repr(problem)


def authorization(token: str | None) -> dict[str, str]:
    """Headers of somebody who has this access token or API key."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def landmark_tracks(data: Path | None, frames: int, count: int, seed: int = 0) -> list[np.ndarray]:
    """`count` arrays float32 (frames, 75, 3) of signing: clips of one signer after the other."""
    rng = np.random.default_rng(seed)
    if data is not None:
        from app.pipeline.module1_preprocessing.resample import resample
        from app.training.corpora.signs.clips import load_signs

        clips = [c for c in load_signs(data, "dev") if c.gloss != "NONE"]
        by_signer: dict[str, list[Any]] = {}
        for clip in clips:
            by_signer.setdefault(clip.signer, []).append(clip)
        signers = sorted(by_signer)
        tracks = []
        for i in range(count):
            own = by_signer[signers[i % len(signers)]]
            parts: list[np.ndarray] = []
            while sum(map(len, parts)) < frames:
                parts.append(resample(own[rng.integers(len(own))].keypoints(50 / 3)))
            tracks.append(np.concatenate(parts)[:frames])
        return tracks
    from app.signer import prototypes

    book = prototypes.load()
    glosses = sorted(book)
    tracks = []
    for _ in range(count):
        parts = []
        while sum(map(len, parts)) < frames:
            parts.append(book.phrase([glosses[i] for i in rng.integers(len(glosses), size=3)]).points)
        tracks.append(np.concatenate(parts)[:frames].astype(np.float32))
    return tracks


def page_start() -> dict[str, Any]:
    """What the page says in `start` with its settings as they come (app/web/live.js)."""
    return {"endpoint_ms": 1200, "aspect": 4 / 3, "landmarks": True, "save": False, "follow": secrets.token_urlsafe(32)}


def capture_times(frames: int, fps: float, seed: int) -> np.ndarray:
    """int64 (frames,) microseconds on the clock of a page opened a while ago: frames of a camera come up to 4 ms
    early or late, and one in a hundred is missing."""
    rng = np.random.default_rng(seed)
    number = np.arange(frames) + np.cumsum(rng.random(frames) < 0.01)
    times = number * 1e6 / fps + rng.uniform(-4000, 4000, frames) + rng.uniform(3e6, 60e6)
    return times.astype(np.int64)


def pictures(folder: Path, frames: int, count: int, still: int) -> list[list[bytes]]:
    """`count` lists of `frames` JPEG pictures, 640x480: clips of the folder one after the other, each session from
    another one on, the last picture of each held for `still` frames."""
    import cv2

    from app.pipeline.module1_preprocessing.video import read_frames

    clips = []
    for path in sorted(folder.rglob("*.mp4"))[:8]:
        shown = [simplejpeg.encode_jpeg(cv2.resize(f.rgb, (640, 480)), quality=80) for f in read_frames(path)]
        clips.append(shown + [shown[-1]] * still)
    return [
        list(islice(chain.from_iterable(clips[(i + k) % len(clips)] for k in count_up()), frames)) for i in range(count)
    ]


def percentiles(values: list[float]) -> dict[str, float | None]:
    return {f"p{q}": round(float(np.percentile(values, q)), 1) if values else None for q in (50, 95, 99)}


class Server:
    """The local processes that listen on the port, workers included: their processor time and memory together."""

    def __init__(self, url: str) -> None:
        port = urlsplit(url).port
        self.processes = []
        for process in psutil.process_iter(["pid"]):
            try:
                listening = [c for c in process.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
                self.processes += [process, *process.children(recursive=True)] if listening else []
            except psutil.Error:
                continue
        self.processes = list({process.pid: process for process in self.processes}.values())

    def cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)

    def resident(self) -> int:
        return sum(process.memory_info().rss for process in self.processes)


def offline(url: str, session: Session) -> list[str]:
    parts = urlsplit(url)
    assert session.points is not None
    pose, left, right = session.points[:, :33], session.points[:, 33:54, :2], session.points[:, 54:, :2]
    body = {"fps": session.fps, "pose": pose.tolist(), "left": left.tolist(), "right": right.tolist()}
    body["vocabulary"] = session.vocabulary
    route, headers = f"http://{parts.netloc}/api/inference/landmarks", authorization(session.token)
    answer = httpx.post(route, json=body, timeout=120, headers=headers)
    answer.raise_for_status()
    glosses: list[str] = answer.json()["gloss"]
    return glosses


async def post_clips(url: str, count: int, wait_s: float, token: str | None) -> list[float | str]:
    """`count` clips of 120 s of landmarks at once, after a while: seconds until each answer, or the answer if it was an
    error."""
    (track,) = landmark_tracks(None, 120 * 25, 1)
    file = io.BytesIO()
    np.savez(file, pose=track[:, :33], left=track[:, 33:54, :2], right=track[:, 54:, :2], fps=25.0)
    await asyncio.sleep(wait_s)
    began = time.perf_counter()

    async def post(client: httpx.AsyncClient) -> float | str:
        files = {"file": ("clip.npz", file.getvalue())}
        answer = await client.post(f"http://{urlsplit(url).netloc}/api/inference/landmarks", files=files)
        return round(time.perf_counter() - began, 2) if answer.is_success else answer.text

    async with httpx.AsyncClient(timeout=300, headers=authorization(token)) as client:
        return await asyncio.gather(*(post(client) for _ in range(count)))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="ws://localhost:8000/ws/stream")
    parser.add_argument("--kind", choices=("landmarks", "jpeg"), default="landmarks")
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--data", type=Path, help="folder of the signs corpus")
    parser.add_argument("--clips", type=Path, default=REPOSITORY / "app/signer/samples", help="videos for --kind jpeg")
    parser.add_argument("--still", type=float, default=0, help="seconds without a movement behind each clip (jpeg)")
    parser.add_argument("--compare", type=int, default=10, help="sessions compared with the offline answer")
    parser.add_argument("--clips-beside", type=int, default=0, help="clips of 120 s of landmarks posted at once")
    parser.add_argument("--page", action="store_true", help="sessions as the page has them (landmarks)")
    parser.add_argument("--rest", action="store_true", help="nobody signs: hands down all the time (landmarks)")
    parser.add_argument("--idle", type=float, default=0, help="seconds to watch the service before, without a client")
    parser.add_argument("--vocabulary", help="name of the vocabulary to read with; default: that of the service")
    parser.add_argument("--token", action="append", default=[], help="access token or API key; may be repeated")
    parser.add_argument("--tickets", action="store_true", help="open each session with a ticket of its token")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    tokens: list[str | None] = args.token or [None]

    frames = int(args.seconds * args.fps)
    tracks: list[np.ndarray | None]
    if args.kind == "landmarks":
        tracks = list(landmark_tracks(args.data, frames, args.sessions))
        for track in tracks if args.rest else ():
            assert track is not None
            track[:, 33:] = 0
        payloads = [[t[i : i + 1].astype("<f2").tobytes() for i in range(frames)] for t in tracks if t is not None]
    else:
        tracks = [None] * args.sessions
        payloads = pictures(args.clips, frames, args.sessions, int(args.still * args.fps))
    captured = [capture_times(frames, args.fps, i) if args.page else None for i in range(args.sessions)]
    kind = 3 if args.kind == "landmarks" else 1
    period = 1e6 / args.fps
    sessions = [
        Session(
            [
                HEADER.pack(1, kind, 0, i, round(i * period) if times is None else int(times[i])) + p
                for i, p in enumerate(own)
            ],
            track,
            args.fps,
            args.vocabulary,
            tokens[number % len(tokens)],
            times,
            page_start() if args.page else {},
        )
        for number, (own, track, times) in enumerate(zip(payloads, tracks, captured, strict=True))
    ]
    server = Server(args.url)
    idle_began, idle_cpu = time.perf_counter(), server.cpu_s()
    await asyncio.sleep(args.idle)
    idle_cores = (server.cpu_s() - idle_cpu) / (time.perf_counter() - idle_began) if args.idle else 0.0
    cpu_before, memory_before = server.cpu_s(), server.resident()
    memory = [memory_before]

    async def watch_memory() -> None:
        while True:
            memory.append(server.resident())
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch_memory())
    began, cpu_began = time.perf_counter(), time.process_time()
    posting = (
        asyncio.create_task(post_clips(args.url, args.clips_beside, args.seconds / 3, tokens[0]))
        if args.clips_beside
        else None
    )
    tickets = asyncio.Semaphore(8) if args.tickets else None
    # Spread over one second, as real clients do not all connect at the same instant.
    await asyncio.gather(*(s.run(args.url, i / len(sessions), tickets) for i, s in enumerate(sessions)))
    took = time.perf_counter() - began
    watching.cancel()

    served = [s for s in sessions if s.usage]
    result: dict[str, Any] = {
        "kind": args.kind,
        "sessions": args.sessions,
        "completed": len(served),
        "sent": sum(len(s.sent_at) for s in sessions),
        "used": sum(s.usage["used"] for s in served),
        "dropped": sum(s.usage["dropped"] for s in served),
        "ready_ms": percentiles([s.ready_ms for s in served if s.ready_ms is not None]),
        "lag_ms": percentiles([lag for s in served for lag in s.lags]),
        "server_lag_ms": percentiles([lag for s in served for lag in s.server_lags]),
        "final_lag_ms": percentiles([lag for s in served for lag in s.final_lags]),
        "client_cpu_cores": round((time.process_time() - cpu_began) / took, 2),
        "cores": os.cpu_count(),
    }
    if posting is not None:
        lags = [lag for s in served for lag in s.lags]
        result["max_lag_ms"] = round(max(lags), 1) if lags else None
        result["clip_answers_s"] = await posting
    if server.processes:
        result["server_processes"] = len(server.processes)
        result["server_cpu_cores"] = round((server.cpu_s() - cpu_before) / took, 2)
        if args.idle:
            result["server_idle_cpu_percent"] = round(100 * idle_cores, 2)
            each = ((server.cpu_s() - cpu_before) / took - idle_cores) / args.sessions
            result["server_cpu_percent_of_a_core_per_session"] = round(100 * each, 2)
        result["server_mb_per_session"] = round((max(memory) - memory_before) / 1e6 / args.sessions, 2)
    compared = [s for s in served if s.points is not None][: args.compare]
    if compared:
        errors = corpus_errors((offline(args.url, s), s.glosses) for s in compared)
        result["wer_against_offline"] = round(errors.wer, 4)
    problems = sorted({s.problem for s in sessions if s.problem})
    if problems:
        result["problems"] = problems[:5]
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")
    return 0 if len(served) == len(sessions) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
