"""What happens when a call of the model fails: smaller batches after out-of-memory, a stop after a device fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from loguru import logger

from app.core.errors import DeviceFault, OutOfMemory

Item = TypeVar("Item")
Answer = TypeVar("Answer")


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
    """Release memory that PyTorch has cached on the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Device:
    """The device of this process's models. A lasting fault affects all of them."""

    fault: str | None = None

    def broke(self, problem: BaseException) -> None:
        self.fault = str(problem).partition("\n")[0]
        logger.critical("the device has failed until a restart: {}", self.fault)


@contextmanager
def raising_device_errors(device: Device) -> Iterator[None]:
    """For a model call on a single item: raises OutOfMemory or DeviceFault for PyTorch's device errors."""
    if device.fault is not None:
        raise DeviceFault
    try:
        yield
    except Exception as problem:
        if is_device_fault(problem):
            device.broke(problem)
            raise DeviceFault from problem
        if is_out_of_memory(problem):
            release_cache()
            raise OutOfMemory from problem
        raise


class FaultTolerant(Generic[Item, Answer]):
    """Wraps a model call on a batch; each item gets its answer or its own exception.

    Out of memory: the batch is halved and each half tried once more, then the items of a half that fails get
    OutOfMemory. A lasting device fault is recorded in `device` and gives DeviceFault from then on. Any other fault of
    a shared batch: each item is tried alone, so that one cannot fail the others.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Answer]], device: Device) -> None:
        self._run, self._device = run, device

    def __call__(self, items: Sequence[Item]) -> list[Answer | Exception]:
        if self._device.fault is not None:
            return [DeviceFault() for _ in items]
        try:
            return list(self._run(items))
        except Exception as problem:  # noqa: BLE001 - classified below; nothing is swallowed
            if is_device_fault(problem):
                return self._broken(problem, len(items))
            if is_out_of_memory(problem):
                logger.warning("out of memory on a batch of {}; trying again in halves", len(items))
                size = (len(items) + 1) // 2
            elif len(items) == 1:
                return [problem]
            else:
                logger.warning("a batch of {} failed ({}); trying each item alone", len(items), type(problem).__name__)
                size = 1
        # Outside the handler: while it runs, the traceback keeps the tensors of the failed call alive.
        return self._in_parts(items, size)

    def _in_parts(self, items: Sequence[Item], size: int) -> list[Answer | Exception]:
        release_cache()
        answers: list[Answer | Exception] = []
        for start in range(0, len(items), size):
            part = items[start : start + size]
            if self._device.fault is not None:
                answers += [DeviceFault() for _ in part]
                continue
            try:
                answers += self._run(part)
            except Exception as problem:  # noqa: BLE001 - becomes the result of exactly these items
                if is_device_fault(problem):
                    answers += self._broken(problem, len(part))
                elif is_out_of_memory(problem):
                    answers += [OutOfMemory() for _ in part]
                else:
                    answers += [problem] * len(part)
        return answers

    def _broken(self, problem: BaseException, items: int) -> list[Answer | Exception]:
        self._device.broke(problem)
        return [DeviceFault() for _ in range(items)]
