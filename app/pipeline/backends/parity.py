"""Largest difference between two backends on the same windows, and the speed of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.pipeline.backends.base import Backend
from app.pipeline.module3_sequence.steps import TIME_DIVISOR
from app.pipeline.recogniser import padded_frames

Windows = Sequence[NDArray[np.float32]]
#: Largest difference of a probability that an export may have.
TOLERANCE = 1e-4
#: Rows and frames of the speed table.
SIZES = ((1, 64), (1, 128), (16, 64), (16, 128))


@dataclass(frozen=True, slots=True)
class Speed:
    """Median duration of one pass over a batch."""

    rows: int
    """Windows in the batch."""
    frames: int
    """Frames of each window."""
    reference_ms: float
    """Milliseconds of the reference."""
    other_ms: float
    """Milliseconds of the other backend."""

    @property
    def ratio(self) -> float:
        """Speed of the other relative to the reference."""
        return self.reference_ms / self.other_ms


@torch.inference_mode()
def largest_difference(reference: Backend, other: Backend, windows: Windows) -> float:
    """Largest difference of any probability over windows of (T, NUM_FEATURES), read in ragged batches."""
    worst = 0.0
    for start in range(0, len(windows), 16):
        rows, lengths = padded_frames(windows[start : start + 16])
        a, b = (_logits(backend, torch.from_numpy(rows), lengths).softmax(-1) for backend in (reference, other))
        for i, length in enumerate(lengths):
            steps = length // TIME_DIVISOR
            worst = max(worst, float((a[i, :steps] - b[i, :steps]).abs().max()))
    return worst


@torch.inference_mode()
def speeds(reference: Backend, other: Backend, windows: Windows, repeats: int = 30) -> list[Speed]:
    """Both halves over `SIZES`, the two backends taking turns so that a busy machine slows both."""
    frames = np.concatenate(list(windows))
    table = []
    for rows, length in SIZES:
        batch = torch.from_numpy(np.resize(frames, (rows, length, frames.shape[1])))
        times = [(_seconds(reference, batch), _seconds(other, batch)) for _ in range(repeats)]
        warm = times[repeats // 10 :]
        table.append(Speed(rows, length, median(a for a, _ in warm) * 1e3, median(b for _, b in warm) * 1e3))
    return table


def _logits(backend: Backend, rows: Tensor, lengths: Sequence[int]) -> Tensor:
    short, _ = backend.encode_frames(rows, lengths)
    return backend.classify(short, [length // TIME_DIVISOR for length in lengths]).float().cpu()


def _seconds(backend: Backend, rows: Tensor) -> float:
    began = time.perf_counter()
    _logits(backend, rows, [rows.shape[1]] * len(rows))
    return time.perf_counter() - began
