"""How fast phrases of the large vocabulary are composed, beside the older way, and what a step and reading cost.

    python -m scripts.bench_glosses --data DATA

DATA holds signs/ and wlasl/. Both ways run on one core, one after the other, on the same corpus. The older way makes a
phrase of frames, augments them and turns them into features, one phrase at a time; the newer one makes indices, and all
else is done for a whole batch on the device, as part of the step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.recogniser import Recogniser
from app.training.augment import AugmentConfig, to_image_coords
from app.training.corpora.glosses.compose import Composer
from app.training.corpora.glosses.settings import Settings
from app.training.corpora.glosses.strokes import find_strokes
from app.training.corpora.glosses.train import Run, open_bank
from app.training.corpora.signs.clips import load_signs, signs_of
from app.training.corpora.signs.phrases import PhraseConfig, PhraseSampler, signer_book
from app.training.corpora.signs.source import PhraseBatches
from app.training.loop.distributed import Ranks


def per_second(make: Callable[[], object], seconds: float) -> float:
    """How often `make` runs in a second."""
    make()
    begun, made = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        make()
        made += 1
    return made / spent


def older(data: Path) -> Callable[[], object]:
    clips = load_signs(data / "signs", "train")
    glosses = {g for c in clips for g in signs_of(c.gloss) if not g.startswith("FS-")}
    config = AugmentConfig()
    sampler = PhraseSampler(signer_book(clips, glosses), PhraseConfig(), config.speed)
    batches = PhraseBatches(sampler, tuple(sorted(glosses)), 1, 1, 1, config)
    rng = np.random.default_rng(1)
    return lambda: normalise(to_image_coords(batches.draw(rng)[0]), 1.0)


def step_ms(run: Run, steps: int) -> float:
    """Median milliseconds of an optimiser step, the batch at hand."""
    generator = torch.Generator(run.device)
    spent = []
    for batch in run.batches():
        if len(spent) == steps + 3:
            break
        begun = time.perf_counter()
        run.train_step(batch.to(run.device), generator)
        if run.device.type == "cuda":
            torch.cuda.synchronize()
        spent.append(1000 * (time.perf_counter() - begun))
    return statistics.median(spent[3:])


def reading_ms(folder: Path, repeats: int = 40) -> float:
    """Median milliseconds of everything after landmarks for a clip of one window of 128 frames, on one thread."""
    recogniser = Recogniser.load(folder, threads=1)
    recogniser.warm_up()
    points = np.random.default_rng(1).normal(0.5, 0.1, (128, 75, 3)).astype(np.float32)
    points[..., 2] = 1.0
    points[:, 11], points[:, 12] = (0.65, 0.5, 1.0), (0.35, 0.5, 1.0)
    clip = Keypoints.at_rate(points, 25.0, 4 / 3)
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        recogniser.recognise(clip)
        spent.append(1000 * (time.perf_counter() - begun))
    return statistics.median(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each way of composing")
    parser.add_argument("--batch-size", type=int, default=24, help="phrases of a step")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/asl-large"))
    parser.add_argument("--steps", type=int, default=8, help="optimiser steps that are timed")
    args = parser.parse_args()
    torch.set_num_threads(1)

    print(f"everything after landmarks, a window of 128 frames: {reading_ms(args.checkpoint):.1f} ms", flush=True)
    before = per_second(older(args.data), args.seconds)
    print(f"older way, signs: {before:.0f} phrases a second (frames, augmented, features)", flush=True)
    bank = open_bank(args.data)
    settings = replace(Settings(), batch_size=args.batch_size, workers=0)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(bank, [settings], Path(folder))
        composer = Composer(bank, find_strokes(bank), bank.of(split="train"), run.vocabulary, settings.recipe)
        rng = np.random.default_rng(1)
        after = per_second(lambda: composer.draw(rng), args.seconds)
        print(f"newer way, signs and wlasl: {after:.0f} phrases a second (indices), {after / before:.0f} times as many")
        took = step_ms(run, args.steps)
        print(f"a step of {args.batch_size} phrases, all included but composing: {took:.0f} ms on one CPU thread")
        if torch.cuda.is_available():
            fast = Run(bank, [settings], Path(folder), Ranks(0, 1, torch.device("cuda", 0)))
            print(f"the same: {step_ms(fast, 50):.1f} ms on {torch.cuda.get_device_name()}")


if __name__ == "__main__":
    main()
