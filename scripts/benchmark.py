"""Times of the stages on this machine: python scripts/benchmark.py [--json] [--clips FOLDER] [--max-clips N].

Comparisons are paired: both sides run in one process on the same frames, in alternating order, and the ratio of each
pair counts, so that other load on the machine hits both. On a busy machine only the processor times mean anything: they
count the work of all threads and not the waiting. Real clips are looked for beside the repository
(../shared/samples), else the prototype signer's own videos are used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from app.pipeline.keypoints import LEFT_HAND, NUM_KEYPOINTS, POSE, RIGHT_HAND, Keypoints  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkEngine, find_landmarks  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine  # noqa: E402
from app.pipeline.module1_preprocessing.normalise import normalise  # noqa: E402
from app.pipeline.module1_preprocessing.resample import resample  # noqa: E402
from app.pipeline.module1_preprocessing.video import Frame, read_frames  # noqa: E402
from app.pipeline.module2_feature.rgb_encoder import RGBEncoder  # noqa: E402
from app.pipeline.module3_sequence.decoders import BeamDecoder, GreedyDecoder  # noqa: E402
from app.pipeline.module3_sequence.steps import TIME_DIVISOR  # noqa: E402
from app.pipeline.module4_language import to_english  # noqa: E402
from app.pipeline.recogniser import Recogniser  # noqa: E402
from app.services.landmarks.process import LandmarkProcess  # noqa: E402
from app.signer import prototypes  # noqa: E402
from app.signer.render import write_video  # noqa: E402

Clips = dict[str, list[Frame]]


def clip_paths(folder: Path | None) -> list[Path]:
    """The .mp4 files of the folder, or of the first default place that has any."""
    shared = Path(os.environ.get("GLOSSLINE_SHARED", REPOSITORY.parent / "shared"))
    places = [folder] if folder else [shared / "samples", REPOSITORY / "app/signer/samples"]
    for place in places:
        if found := sorted(place.rglob("*.mp4")):
            return found
    raise SystemExit(f"no .mp4 files in {' or '.join(map(str, places))}; name a folder with --clips")


def bench_cold_start() -> dict[str, float]:
    """Seconds from nothing to the first landmarks: MediaPipe's import, the graph, one picture. Run it first."""
    start = time.perf_counter()
    with MediaPipeEngine(1) as engine, closing(engine.open()) as track:
        made = time.perf_counter()
        track.send(np.zeros((480, 640, 3), np.uint8))
        track.receive()
        return {"extractor_s": made - start, "first_picture_s": time.perf_counter() - made}


def bench_decode(paths: list[Path], max_frames: int) -> tuple[dict[str, float], Clips]:
    """Milliseconds to decode one frame to RGB, mean over clips; and the decoded clips."""
    per_frame, clips = [], {}
    for path in paths:
        start = time.perf_counter()
        frames = list(islice(read_frames(path), max_frames))
        per_frame.append((time.perf_counter() - start) / len(frames) * 1e3)
        clips[path.name] = frames
    return {"ms_per_frame": statistics.mean(per_frame), "max_ms_per_frame": max(per_frame)}, clips


def bench_landmarks(clips: Clips, rounds: int) -> dict[str, float]:
    """One stream against plain Holistic: milliseconds a frame, ratio of the times, largest difference."""
    from mediapipe.python.solutions.holistic import Holistic

    wall: dict[str, list[float]] = {"ours": [], "plain": []}
    cpu: dict[str, list[float]] = {"ours": [], "plain": []}
    ratios, difference = [], 0.0
    with MediaPipeEngine(1) as engine:
        for name, frames in clips.items():
            pairs = []
            for turn in range(rounds):
                with Holistic() as holistic, closing(engine.open()) as track:
                    holistic._graph.wait_until_idle()  # both have read their models before the clock runs
                    sides: dict[str, Callable[[], NDArray[np.float32]]] = {
                        "ours": lambda frames=frames, track=track: find_landmarks(frames, track).points,  # type: ignore[misc]
                        "plain": lambda frames=frames, graph=holistic: run_holistic(graph, frames),  # type: ignore[misc]
                    }
                    points = {}
                    for side in ("ours", "plain") if turn % 2 else ("plain", "ours"):
                        start, start_cpu = time.perf_counter(), time.process_time()
                        points[side] = sides[side]()
                        wall[side].append((time.perf_counter() - start) / len(frames))
                        cpu[side].append((time.process_time() - start_cpu) / len(frames))
                difference = max(difference, float(np.abs(points["ours"] - points["plain"]).max()))
                pairs.append(wall["plain"][-1] / wall["ours"][-1])
            ratios.append(statistics.median(pairs))
            print(f"  {name}: {ratios[-1]:.2f} times as fast as Holistic", file=sys.stderr)
    return {
        "ms_per_frame": statistics.mean(wall["ours"]) * 1e3,
        "holistic_ms_per_frame": statistics.mean(wall["plain"]) * 1e3,
        "processor_ms_per_frame": statistics.mean(cpu["ours"]) * 1e3,
        "holistic_processor_ms_per_frame": statistics.mean(cpu["plain"]) * 1e3,
        "speed_ratio_mean": statistics.mean(ratios),
        "speed_ratio_min": min(ratios),
        "speed_ratio_max": max(ratios),
        "max_abs_difference": difference,
        "clips": len(clips),
    }


def bench_several_clips(clips: Clips, rounds: int, at_once: int) -> dict[str, float]:
    """`at_once` clips in the pool against one plain Holistic that takes them one after the other: frames a second."""
    from mediapipe.python.solutions.holistic import Holistic

    jobs = list(clips.values())
    jobs = (jobs * at_once)[: max(len(jobs), at_once)]
    total = sum(map(len, jobs))

    def pooled() -> None:
        def work(frames: list[Frame]) -> None:
            with closing(engine.open()) as track:
                find_landmarks(frames, track)

        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(work, jobs))

    def plain() -> None:
        for frames in jobs:
            with Holistic() as holistic:
                run_holistic(holistic, frames)

    rates: dict[str, list[float]] = {"pooled": [], "plain": []}
    with MediaPipeEngine(at_once) as engine:
        for track in [engine.open() for _ in range(at_once)]:
            track.close()
        for turn in range(rounds):
            for run in (pooled, plain) if turn % 2 else (plain, pooled):
                start = time.perf_counter()
                run()
                rates[run.__name__].append(total / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(rates["pooled"], rates["plain"], strict=True)]
    return {
        "at_once": at_once,
        "frames_per_s": statistics.mean(rates["pooled"]),
        "holistic_frames_per_s": statistics.mean(rates["plain"]),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def bench_landmark_process(clips: Clips, rounds: int, at_once: int) -> dict[str, float]:
    """`at_once` clips with the engine of the service, in its own process, against the same graphs in this one: frames a
    second; and milliseconds from sending a single image to its landmarks."""
    jobs = (list(clips.values()) * at_once)[: max(len(clips), at_once)]
    total = sum(map(len, jobs))

    def work(engine: LandmarkEngine, frames: list[Frame]) -> None:
        with closing(engine.open()) as track:
            find_landmarks(frames, track)

    def one_by_one(engine: LandmarkEngine) -> float:
        with closing(engine.open()) as track:
            return milliseconds(lambda: (track.send(jobs[0][0].rgb), track.receive()))

    process, here = LandmarkProcess(at_once), MediaPipeEngine(at_once)
    engines: dict[str, LandmarkEngine] = {"process": process, "here": here}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    try:
        for engine in engines.values():
            for track in [engine.open() for _ in range(at_once)]:
                track.close()
        for turn in range(rounds):
            for name in ("process", "here") if turn % 2 else ("here", "process"):
                start = time.perf_counter()
                with ThreadPoolExecutor(at_once) as threads:
                    list(threads.map(partial(work, engines[name]), jobs))
                rates[name].append(total / (time.perf_counter() - start))
        latency = {name: one_by_one(engine) for name, engine in engines.items()}
    finally:
        process.close()
        here.close()
    ratios = [a / b for a, b in zip(rates["process"], rates["here"], strict=True)]
    return {
        "at_once": at_once,
        "frames_per_s": statistics.mean(rates["process"]),
        "in_this_process_frames_per_s": statistics.mean(rates["here"]),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "one_image_ms": latency["process"],
        "one_image_in_this_process_ms": latency["here"],
    }


def milliseconds(run: Callable[[], object], repeats: int = 30) -> float:
    """Median wall time of one call, after two that do not count."""
    for _ in range(2):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


@torch.inference_mode()
def bench_model(folder: Path, device: str) -> dict[str, float]:
    """Every stage after the landmarks, for one window of 64 frames: median milliseconds."""
    recogniser = Recogniser.load(folder, device)
    recogniser.warm_up()
    clip = prototype_phrase(64)
    grid = resample(clip)[:64]
    features = normalise(grid, clip.aspect)
    model = recogniser.model
    window, length = torch.from_numpy(features)[None].to(device), torch.tensor([len(features)], device=device)
    encoded, _ = model.fuse_frames(window)
    lattice = recogniser.log_probs([features])[0][0]
    glosses = recogniser.recognise(clip).gloss

    def wait(run: Callable[[], object]) -> Callable[[], object]:
        def waited() -> None:
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize()

        return waited

    def decode(decoder: GreedyDecoder | BeamDecoder) -> Callable[[], object]:
        def run() -> None:
            decoder.reset()
            decoder.feed(lattice)
            decoder.best()

        return run

    stages = {
        "resample_ms": lambda: resample(clip),
        "normalise_ms": lambda: normalise(grid, clip.aspect),
        "pose_encoder_ms": wait(lambda: model.fuse_frames(window)),
        "temporal_ms": wait(lambda: model.sequence(model.convolution(encoded, length), length // TIME_DIVISOR)),
        "decode_greedy_ms": decode(GreedyDecoder()),
        "decode_beam5_ms": decode(BeamDecoder(5)),
        "language_ms": lambda: to_english(glosses or ["HELLO"], recogniser.sign_language),
        "everything_after_landmarks_ms": lambda: recogniser.recognise(clip),
    }
    return {name: milliseconds(run) for name, run in stages.items()} | {"frames": len(features), "steps": len(lattice)}


@torch.inference_mode()
def bench_rgb(device: str) -> dict[str, float]:
    """The RGB stream's ResNet18 on 112x112 crops, random weights: milliseconds a frame over batches of 16."""
    encoder = RGBEncoder("resnet18").eval().to(device)
    pictures = torch.randint(0, 256, (1, 16, 3, 112, 112), dtype=torch.uint8, device=device)

    def run() -> None:
        encoder(pictures)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return {"rgb_encoder_ms_per_frame": milliseconds(run, 8) / 16}


def prototype_phrase(frames: int) -> Keypoints:
    """The prototype signer's HELLO NAME, cut or held to `frames` frames at 25 fps."""
    points = prototypes.load().phrase(["HELLO", "NAME"]).points
    points = np.concatenate([points, np.repeat(points[-1:], max(0, frames - len(points)), axis=0)])[:frames]
    return Keypoints.at_rate(points, 25)


def bench_service(video: Path) -> dict[str, float]:
    """A fresh service process: seconds to ready and to the first answer, of a second answer, and its memory."""
    import httpx
    import psutil

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"]
    start = time.perf_counter()
    environment = {**os.environ, "TRAINING": "false"}  # and no database: what recognition needs
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                if httpx.get(f"{address}/api/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.perf_counter() - start > 120:
                raise SystemExit("the service did not start; run `python -m app doctor`")
            time.sleep(0.05)
        ready = time.perf_counter() - start
        answers = []
        for _ in range(3):
            before = time.perf_counter()
            with video.open("rb") as file:
                answer = httpx.post(f"{address}/api/inference/predict", files={"file": file}, timeout=120)
            answer.raise_for_status()
            answers.append(time.perf_counter() - before)
        return {
            "ready_s": ready,
            "first_answer_s": ready + answers[0],
            "later_answer_s": min(answers[1:]),
            "clip_s": answer.json()["duration_s"],
            "resident_mb": psutil.Process(process.pid).memory_info().rss / 1e6,
        }
    finally:
        process.terminate()
        process.wait(30)


def four_second_clip(folder: Path) -> Path:
    """100 frames at 25 fps, 640x480, of the prototype signer, as an mp4 in `folder`."""
    path = folder / "four_seconds.mp4"
    write_video(prototype_phrase(100), path)
    return path


def run_holistic(holistic: Any, frames: list[Frame]) -> NDArray[np.float32]:
    """Plain Holistic over a clip, in the layout of Keypoints."""
    points = np.zeros((len(frames), NUM_KEYPOINTS, 3), np.float32)
    for row, frame in zip(points, frames, strict=True):
        found = holistic.process(frame.rgb)
        for where, part in (
            (POSE, found.pose_landmarks),
            (LEFT_HAND, found.left_hand_landmarks),
            (RIGHT_HAND, found.right_hand_landmarks),
        ):
            if part:
                row[where] = [(p.x, p.y, p.visibility if where == POSE else 1.0) for p in part.landmark]
    return points


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, MB; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--clips", type=Path, help="folder with .mp4 files")
    parser.add_argument("--max-clips", type=int, default=8, help="evenly spread over the folder (default 8)")
    parser.add_argument("--max-frames", type=int, default=100, help="of each clip (default 100)")
    parser.add_argument("--checkpoint", type=Path, default=REPOSITORY / "checkpoints/asl-large")
    parser.add_argument("--rounds", type=int, default=2, help="pairs for each clip (default 2)")
    arguments = parser.parse_args()

    paths = clip_paths(arguments.clips)
    step = max(1, len(paths) // arguments.max_clips)
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    }
    results["cold_start"] = bench_cold_start()
    results["memory"] = {"with_landmarks_mb": peak_memory_mb()}
    results["decode"], clips = bench_decode(paths[::step][: arguments.max_clips], arguments.max_frames)
    results["landmarks"] = bench_landmarks(clips, arguments.rounds)
    results["landmarks_several_clips"] = bench_several_clips(clips, arguments.rounds, max(2, os.cpu_count() or 2))
    for at_once in (1, max(2, os.cpu_count() or 2)):
        results[f"landmark_process_{at_once}_at_once"] = bench_landmark_process(clips, arguments.rounds, at_once)
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        results[f"model_{device}"] = bench_model(arguments.checkpoint, device) | bench_rgb(device)
    results["memory"]["whole_run_mb"] = peak_memory_mb()
    with tempfile.TemporaryDirectory() as folder:
        results["service"] = bench_service(four_second_clip(Path(folder)))

    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for stage, figures in results.items():
        print(stage)
        for name, value in figures.items():
            print(f"  {name:24} {value:.3g}" if isinstance(value, float) else f"  {name:24} {value}")


if __name__ == "__main__":
    main()
