"""What happens when a call of the model fails: smaller batches after out-of-memory, a stop after a broken device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loguru import logger

from app.core.errors import DeviceFault, OutOfMemory
from app.pipeline.keypoints import Keypoints
from app.pipeline.recogniser import Recognition


class BatchRecogniser(Protocol):
    def recognise_batch(self, clips: Sequence[Keypoints]) -> list[Recognition]: ...


def is_out_of_memory(problem: BaseException) -> bool:
    import torch

    return isinstance(problem, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(problem, RuntimeError) and "can't allocate memory" in str(problem)
    )


def is_device_fault(problem: BaseException) -> bool:
    """A CUDA error other than out-of-memory poisons the process: every later call fails too."""
    import torch

    if is_out_of_memory(problem):
        return False
    return isinstance(problem, torch.AcceleratorError) or (
        isinstance(problem, RuntimeError) and str(problem).startswith(("CUDA error", "cuDNN error"))
    )


def release_cache() -> None:
    """Give memory that PyTorch keeps for later back to the card."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class FaultTolerantRecogniser:
    """Wraps `recognise_batch`; each clip gets its recognition or its own exception.

    Out of memory: the batch is halved and each half tried once more, then the clips of a half that fails get
    OutOfMemory. A sticky device fault sets `device_fault` and answers DeviceFault from then on. Any other fault of
    a shared batch: each clip is tried alone, so that one clip cannot fail its neighbours.
    """

    def __init__(self, recogniser: BatchRecogniser) -> None:
        self._recogniser = recogniser
        self.device_fault: str | None = None

    def __call__(self, clips: Sequence[Keypoints]) -> list[Recognition | BaseException]:
        if self.device_fault is not None:
            return [self._fault() for _ in clips]
        try:
            return list(self._recogniser.recognise_batch(clips))
        except Exception as problem:  # noqa: BLE001 - sorted by kind; nothing is swallowed
            if is_device_fault(problem):
                return self._broken(problem, len(clips))
            if is_out_of_memory(problem):
                logger.warning("out of memory on a batch of {}; trying again in halves", len(clips))
                size = (len(clips) + 1) // 2
            elif len(clips) == 1:
                return [problem]
            else:
                logger.warning("a batch of {} failed ({}); trying each clip alone", len(clips), type(problem).__name__)
                size = 1
        # Outside the handler: while it runs, the traceback keeps the tensors of the failed call alive.
        return self._in_parts(clips, size)

    def _in_parts(self, clips: Sequence[Keypoints], size: int) -> list[Recognition | BaseException]:
        release_cache()
        answers: list[Recognition | BaseException] = []
        for start in range(0, len(clips), size):
            part = clips[start : start + size]
            if self.device_fault is not None:
                answers += [self._fault() for _ in part]
                continue
            try:
                answers += self._recogniser.recognise_batch(part)
            except Exception as problem:  # noqa: BLE001 - becomes the answer of exactly these clips
                if is_device_fault(problem):
                    answers += self._broken(problem, len(part))
                elif is_out_of_memory(problem):
                    answers += [OutOfMemory() for _ in part]
                else:
                    answers += [problem] * len(part)
        return answers

    def _broken(self, problem: BaseException, clips: int) -> list[Recognition | BaseException]:
        self.device_fault = str(problem).partition("\n")[0]
        logger.critical("the device has failed until a restart: {}", self.device_fault)
        return [self._fault() for _ in range(clips)]

    def _fault(self) -> DeviceFault:
        return DeviceFault()
