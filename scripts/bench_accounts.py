"""What accounts and credits cost: clips and live sessions with AUTH_MODE=required against AUTH_MODE=open.

    python scripts/bench_accounts.py --requests 200 --sessions 100 --seconds 12

It starts an embedded PostgreSQL and two servers of its own, one of each mode, and stops them. Requests to both
alternate, so that other load on the machine hits both, and the ratio of each pair counts. Clips are landmarks and a
small video of the prototype signer; sessions are those of bench_live.py, at one server after the other, --rounds times,
shared by --accounts accounts that come with tickets. With --sessions 0 only clips are measured.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import httpx  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402

from app.db.embedded import EmbeddedPostgres  # noqa: E402
from app.signer import prototypes  # noqa: E402

SECRET = "a secret of a benchmark, thirty-two characters"
PASSWORD = "seven quiet herons"
VIDEO = REPOSITORY / "app/signer/samples/hello.mp4"


@contextmanager
def serving(log: Path, **settings: str) -> Iterator[str]:
    """Address of a server with these settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    environment = {**os.environ, "TRAINING": "false", "MAX_CLIENTS": "256", "DATA_DIR": str(log.parent), **settings}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=sink, stderr=sink)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
        while not _ready(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(120)


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


def accounts(address: str, environment: dict[str, str], count: int) -> list[str]:
    """Access tokens of new accounts with the largest plan."""
    admin = {"email": "admin@example.org", "password": PASSWORD}
    command = [sys.executable, "-m", "app", "admin", "create", admin["email"], "--role", "admin"]
    made = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, input=PASSWORD, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"no admin could be made: {made.stderr[-1000:]}")
    with httpx.Client(base_url=address, timeout=60) as client:
        boss = client.post("/api/auth/sign-in", json=admin).raise_for_status().json()["access_token"]
        tokens = []
        for _ in range(count):
            account = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
            token = client.post("/api/auth/register", json=account).raise_for_status().json()["access_token"]
            me = client.get("/api/users/me", headers=bearer(token)).raise_for_status().json()["id"]
            path = f"/api/billing/users/{me}/plan"
            client.post(path, json={"plan": "enterprise"}, headers=bearer(boss)).raise_for_status()
            tokens.append(token)
    return tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def clips(open_: str, required: str, token: str, counts: dict[str, int], vocabulary: str | None) -> list[list[str]]:
    """Rows of the table, for each kind of clip and of credentials."""
    landmarks = io.BytesIO()
    points = prototypes.load().phrase(["HELLO"]).points
    np.savez(landmarks, pose=points[:, :33], left=points[:, 33:54, :2], right=points[:, 54:, :2], fps=25.0)
    bodies = {"landmarks": ("a.npz", landmarks.getvalue()), "predict": ("a.mp4", VIDEO.read_bytes())}
    rows = []
    with httpx.Client(timeout=300) as client:
        key = client.post(f"{required}/api/keys", json={"name": "bench"}, headers=bearer(token)).json()["key"]
        ways: dict[str, Callable[[], dict[str, str]]] = {
            "access token": lambda: bearer(token),
            "API key": lambda: bearer(key),
            "and Idempotency-Key": lambda: {**bearer(token), "Idempotency-Key": uuid4().hex},
        }
        for route, file in bodies.items():
            if not counts[route]:
                continue
            query = {} if vocabulary is None else {"vocabulary": vocabulary}

            def ms(
                address: str,
                headers: dict[str, str],
                route: str = route,
                file: tuple[str, bytes] = file,
                query: dict[str, str] = query,
            ) -> float:
                began = time.perf_counter()
                answer = client.post(
                    f"{address}/api/inference/{route}", files={"file": file}, headers=headers, params=query
                )
                answer.raise_for_status()
                return (time.perf_counter() - began) * 1000

            number = counts[route]
            for way, headers in ways.items():
                for address in (open_, required):
                    ms(address, headers() if address == required else {})
                pairs = []
                for turn in range(number):
                    first, second = ((open_, {}), (required, headers()))[:: 1 if turn % 2 else -1]
                    times = {address: ms(address, sent) for address, sent in (first, second)}
                    pairs.append((times[open_], times[required]))
                before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
                more = statistics.median(b - a for a, b in pairs)
                ratio = statistics.median(b / a for a, b in pairs)
                rows.append(
                    [f"{route}, {way}", f"{number}", f"{before:.1f}", f"{after:.1f}", f"{more:+.1f}", f"{ratio:.2f}"]
                )
    return rows


def live(open_: str, required: str, tokens: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """What bench_live.py says, of one server after the other."""
    results = []
    for turn in range(args.rounds):
        for mode in ("open", "required")[:: 1 if turn % 2 == 0 else -1]:
            address = {"open": open_, "required": required}[mode]
            url = f"ws{address.removeprefix('http')}/api/ws/stream"
            command = [sys.executable, "scripts/bench_live.py", "--json", "--compare", "0", "--url", url]
            command += ["--sessions", str(args.sessions), "--seconds", str(args.seconds)]
            command += ["--vocabulary", args.vocabulary] if args.vocabulary else []
            command += ["--data", str(args.data)] if args.data else []
            if mode == "required":
                command += ["--tickets", *(part for token in tokens for part in ("--token", token))]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            if not done.stdout:
                raise SystemExit(done.stderr[-3000:])
            results.append({"mode": mode, **json.loads(done.stdout)})
            print(results[-1], file=sys.stderr)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="pairs of requests with landmarks")
    parser.add_argument("--videos", type=int, default=20, help="pairs of requests with a video")
    parser.add_argument("--sessions", type=int, default=20, help="live sessions at once; 0: none")
    parser.add_argument("--seconds", type=float, default=12, help="of each live session")
    parser.add_argument("--rounds", type=int, default=1, help="of live sessions")
    parser.add_argument("--accounts", type=int, default=10, help="that the live sessions belong to, in turn")
    parser.add_argument("--checkpoint", default="asl-everyday")
    parser.add_argument("--vocabulary", help="name of the vocabulary to read with; default: that of the service")
    parser.add_argument("--data", type=Path, help="folder of the signs corpus")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        postgres = EmbeddedPostgres(folder / "postgres")
        database = postgres.start()
        stack.callback(postgres.stop)
        guarded = {
            "AUTH_MODE": "required",
            "AUTH_SECRET": SECRET,
            "DATABASE_URL": database,
            "REQUESTS_PER_MINUTE": "1000000",
            "SIGN_INS_PER_MINUTE": "1000",
        }
        open_ = stack.enter_context(serving(folder / "open.log", CHECKPOINT=args.checkpoint))
        required = stack.enter_context(serving(folder / "required.log", CHECKPOINT=args.checkpoint, **guarded))
        tokens = accounts(required, guarded, args.accounts)
        counts = {"landmarks": args.requests, "predict": args.videos}
        if any(counts.values()):
            print("| clip | pairs | open, ms | required, ms | more, ms | ratio |\n|---|---|---|---|---|---|")
            for row in clips(open_, required, tokens[0], counts, args.vocabulary):
                print(f"| {' | '.join(row)} |", flush=True)
        if args.sessions:
            results = live(open_, required, tokens, args)
            print("\n| live sessions | done | ready p50, ms | lag p95, ms | server's cores | dropped |")
            print("|---|---|---|---|---|---|")
            for result in results:
                print(
                    f"| {result['mode']}, {result['sessions']} | {result['completed']} | {result['ready_ms']['p50']} "
                    f"| {result['lag_ms']['p95']} | {result.get('server_cpu_cores')} | {result['dropped']} |"
                )
            cores = {m: [r["server_cpu_cores"] for r in results if r["mode"] == m] for m in ("open", "required")}
            ratio = statistics.median(cores["required"]) / statistics.median(cores["open"])
            print(f"\nprocessor time of the server, required / open: {ratio:.3f}")
    print(f"\n{os.cpu_count()} cores, load before the end {psutil.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
