"""A stream by itself, fed frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.streaming import CaptionStream, StreamUpdate, run_jobs


def push(
    stream: CaptionStream, points: NDArray[np.float32], time_s: float, rgb: NDArray[np.float32] | None = None
) -> StreamUpdate | None:
    """One frame (75, 3), and what the RGB encoder made of its image (D,); None when there is nothing new."""
    stream.add(points[None], [time_s], None if rgb is None else rgb[None])
    update = None
    while job := stream.next_job():
        update = stream.apply(job, run_jobs(stream.recogniser, [(stream, job)])[0])
    return update
