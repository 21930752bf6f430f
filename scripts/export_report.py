"""What the export scripts share: arguments, real windows, the parity line and the speed table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.pipeline.backends.base import Backend
from app.pipeline.backends.export import ABOUT
from app.pipeline.backends.parity import TOLERANCE, largest_difference, speeds
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import MODEL_FPS, resample
from app.pipeline.recogniser import Recogniser, window_starts
from app.signer import prototypes

REPOSITORY = Path(__file__).resolve().parents[1]


def parser(doc: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("checkpoint", type=Path, nargs="?", default=REPOSITORY / "checkpoints/asl-large")
    made.add_argument("--out", type=Path, help="folder to write to; default: one in the checkpoint")
    made.add_argument("--data", type=Path, help="compare on dev clips of this corpus, not on the prototype signer")
    made.add_argument("--clips", type=int, default=200, help="at most so many of them, evenly spread")
    return made


def clips(data: Path | None, at_most: int) -> list[Keypoints]:
    """Raises CorpusError."""
    if data is None:
        signer = prototypes.load()
        return [*(signer[gloss] for gloss in prototypes.CORE), *map(signer.phrase, prototypes.PHRASES)]
    from app.training.corpora.signs.clips import load_signs

    dev = load_signs(data, "dev")
    return [clip.keypoints(MODEL_FPS) for clip in dev[:: max(1, -(-len(dev) // at_most))]]


def windows(recogniser: Recogniser, clips: Sequence[Keypoints]) -> list[NDArray[np.float32]]:
    """Features of the clips, cut as the recogniser cuts long ones."""
    window, stride = recogniser.config.decoder.window, recogniser.config.decoder.stride
    features = [normalise(resample(clip), clip.aspect) for clip in clips]
    return [f[start : start + window] for f in features for start in window_starts(len(f), window, stride)]


def report(checkpoint: Path, exported: Backend, folder: Path, name: str, data: Path | None, at_most: int) -> int:
    """Print parity and speed of an export against the network itself; 1 when they differ too much: then `folder` is
    left without what makes it an export, so that no service takes it."""
    torch.set_num_threads(1)
    recogniser = Recogniser.load(checkpoint)
    rows = windows(recogniser, clips(data, at_most))
    difference = largest_difference(recogniser.backend, exported, rows)
    verdict = "ok" if difference <= TOLERANCE else "TOO LARGE"
    source = "dev clips" if data else "the prototype signer's clips"
    print(f"parity: largest probability difference {difference:.1e} over {len(rows)} windows of {source}: {verdict}")
    if difference > TOLERANCE:
        (folder / ABOUT).unlink()
        return 1
    print(f"{'batch':>9}  {'eager ms':>9}  {name + ' ms':>15}  {'times as fast':>13}")
    for speed in speeds(recogniser.backend, exported, rows):
        size = f"{speed.rows} x {speed.frames}"
        print(f"{size:>9}  {speed.reference_ms:9.2f}  {speed.other_ms:15.2f}  {speed.ratio:13.2f}")
    return 0
