#!/usr/bin/env python3
"""How fast a network trains and how much memory it takes: precision, batch size, torch.compile; as a table in Markdown.

`python scripts/bench_training.py [--device cuda] [--rgb resnet18] [--batches 1 4]`. Made-up input of the shape of real
clips; a step is forward, losses, backward and the optimiser. Each row runs in a process of its own, so that peak memory
is its own: on CUDA what PyTorch's allocator held at most, on the CPU how far the process grew beyond its imports.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from loguru import logger

sys.path.insert(0, str(Path(__file__).parents[1]))
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module3_sequence.losses import LossConfig
from app.pipeline.module3_sequence.model import ModelConfig, RGBConfig, SignModel
from app.training.batches import Batch
from app.training.config import OptimConfig
from app.training.loop.distributed import Ranks
from app.training.loop.trainer import CSLRTrainer
from app.training.run_folder import RunFiles

LABELS = 34


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    device: str
    amp: str
    """off, bf16 or fp16."""
    compile: bool
    batch: int
    """Clips per step."""
    rgb: str
    """A backbone, or "" for the pose stream alone."""
    frames: int
    """Of each clip."""
    size: int
    """Side of the images in pixels."""
    steps: int
    """Measured steps."""


@dataclass(frozen=True)
class Measured:
    """Result of a case."""

    step_s: float
    """Median duration of a step."""
    first_s: float
    """Duration of the first step, compilation included."""
    peak_mb: float
    """Peak memory, see the module's docstring."""


class NoCorpus:
    """As much of a corpus as the trainer asks for before it runs."""

    vocabulary = tuple(f"G{i}" for i in range(LABELS))
    model: dict[str, object] = {}  # noqa: RUF012
    checkpoint: dict[str, object] = {}  # noqa: RUF012

    def epoch_steps(self, batch_size: int) -> int:
        return 1


def made_up(case: Case) -> Batch:
    """A batch of the shape of real ones: every clip whole, four labels each."""
    generator = torch.Generator().manual_seed(0)
    pictures = (case.batch, case.frames, 3, case.size, case.size)
    return Batch(
        features=torch.randn(case.batch, case.frames, NUM_FEATURES, generator=generator),
        lengths=torch.full((case.batch,), case.frames),
        targets=torch.randint(1, LABELS, (case.batch, 4), generator=generator),
        target_lengths=torch.full((case.batch,), 4),
        pictures=torch.randint(0, 256, pictures, generator=generator).to(torch.uint8) if case.rgb else None,
    )


def measure(case: Case, folder: Path) -> Measured:
    """Run one case in this process."""
    device = torch.device(case.device)
    rgb = RGBConfig(backbone=case.rgb, weights=None, size=case.size) if case.rgb else None  # type: ignore[arg-type]
    torch.manual_seed(0)
    optim = OptimConfig(
        steps=case.steps,
        batch_size=case.batch,
        amp=case.amp,  # type: ignore[arg-type]
        compile=case.compile,
    )
    model = SignModel(ModelConfig(labels=LABELS, rgb=rgb))
    batch = made_up(case)
    before = _resident_mb()
    trainer = CSLRTrainer(model, NoCorpus(), optim, LossConfig(), RunFiles(folder), Ranks(0, 1, device))  # type: ignore[arg-type]
    times = []
    for _ in range(case.steps):
        start = time.perf_counter()
        trainer.train_step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        trainer.step += 1
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else _peak_mb() - before
    return Measured(sorted(times[1:])[(len(times) - 1) // 2], times[0], peak)


def _resident_mb() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**10 if sys.platform != "darwin" else peak / 2**20


def in_process(case: Case) -> Measured | str:
    """The case in a process of its own, or the last line of why it failed."""
    command = [sys.executable, __file__, "--case", json.dumps(vars(case))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def row(case: Case, result: Measured | str) -> str:
    kind = f"{case.rgb} + pose, {case.size} px" if case.rgb else "pose"
    name = {"off": "fp32"}.get(case.amp, case.amp)
    start = f"| {kind} | {name} | {'on' if case.compile else 'off'} | {case.batch} x {case.frames} |"
    if isinstance(result, str):
        return f"{start} {result} | | | |"
    rate = case.batch * case.frames / result.step_s
    return f"{start} {1000 * result.step_s:.0f} ms | {rate:.0f} | {result.peak_mb:.0f} MB | {result.first_s:.1f} s |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rgb", default="resnet18", help="backbone of the RGB rows, empty for none")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=112, help="side of the pictures in pixels")
    parser.add_argument("--steps", type=int, default=12, help="measured after a first one that is not counted")
    parser.add_argument("--no-compile", action="store_true", help="leave out the rows with torch.compile")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            logger.remove()
            print(json.dumps(vars(measure(Case(**json.loads(args.case)), Path(folder)))))
        return 0
    on_gpu = args.device.startswith("cuda")
    where = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}.{'' if on_gpu else ' Measured without a GPU.'}\n")
    print("| network | precision | compile | clips x frames | step | frames/s | peak memory | first step |")
    print("|---|---|---|---|---|---|---|---|")
    precisions = ["off", "bf16", "fp16"] if on_gpu else ["off", "bf16"]
    compiled = [False] if args.no_compile else [False, True]
    for rgb, batch, amp, compile in itertools.product(
        dict.fromkeys(["", args.rgb]), args.batches, precisions, compiled
    ):
        case = Case(args.device, amp, compile, batch, rgb, args.frames, args.size, args.steps + 1)
        print(row(case, in_process(case)), flush=True)
    if args.rgb:
        print("\nWith the RGB stream a frame is a picture: frames/s are images/s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
