"""What a recording of a sign looks like to the recogniser that is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.clip_reading import RecordingReading
from app.pipeline.keypoints import Keypoints
from app.pipeline.recogniser import Recogniser
from app.services.recognition.model_host import ModelHost


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """An embedding."""

    row: NDArray[np.float32]
    """(D,) of length one."""
    space: str
    """What it can be compared with, see `Recogniser.embedding_space`."""


#: Raises NoHands.
Embed = Callable[[Keypoints], Awaitable[Embedded]]


def embedding_with(host: ModelHost) -> Embed:
    """In the queue of clips, with those of others."""

    async def embed(clip: Keypoints) -> Embedded:
        recogniser = host.recogniser
        reading = await asyncio.to_thread(RecordingReading, recogniser, clip)
        await host.read(reading)
        return Embedded(reading.embedding, await asyncio.to_thread(lambda: recogniser.embedding_space))

    return embed


def embedding_alone(recogniser: Recogniser) -> Embed:
    """For commands, which have a recogniser of their own."""

    async def embed(clip: Keypoints) -> Embedded:
        reading = RecordingReading(recogniser, clip)
        for job in reading.next_jobs(1):
            reading.apply(job, recogniser.whole.log_probs([job.features])[0])
        return Embedded(reading.embedding, recogniser.embedding_space)

    return embed
