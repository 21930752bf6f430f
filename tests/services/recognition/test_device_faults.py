from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from app.core.errors import DeviceFault, OutOfMemory
from app.pipeline.keypoints import Keypoints
from app.pipeline.recogniser import Recognition
from app.services.recognition.device_faults import Device, FaultTolerant, is_device_fault, is_out_of_memory


def clip(frames: int) -> Keypoints:
    return Keypoints.at_rate(np.zeros((frames, 75, 3), np.float32), 25)


def recognition(of: Keypoints) -> Recognition:
    return Recognition((), "", 0.0, len(of), of.duration_s, 25.0, {"rgb": 0.0, "pose": 1.0})


class Failing:
    """Stands for the model: raises what `wrong` returns for a batch, else answers with the clips' lengths."""

    def __init__(self, wrong: Callable[[list[int]], BaseException | None]) -> None:
        self.calls: list[list[int]] = []
        self._wrong = wrong

    def recognise_batch(self, clips: Sequence[Keypoints]) -> list[Recognition]:
        lengths = [len(each) for each in clips]
        self.calls.append(lengths)
        problem = self._wrong(lengths)
        if problem is not None:
            raise problem
        return [recognition(each) for each in clips]


def guard(model: Failing, device: Device | None = None) -> FaultTolerant[Keypoints, Recognition]:
    return FaultTolerant(model.recognise_batch, device or Device())


def lengths(answers: Sequence[Recognition | BaseException]) -> list[int | type]:
    return [answer.frame_count if isinstance(answer, Recognition) else type(answer) for answer in answers]


CLIPS = [clip(n) for n in (1, 2, 3, 4, 5)]
OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_all_well() -> None:
    model = Failing(lambda batch: None)
    assert lengths(guard(model)(CLIPS)) == [1, 2, 3, 4, 5]
    assert model.calls == [[1, 2, 3, 4, 5]]


def test_out_of_memory_halves_the_batch_once() -> None:
    model = Failing(lambda batch: OOM if len(batch) > 3 else None)
    assert lengths(guard(model)(CLIPS)) == [1, 2, 3, 4, 5]
    assert model.calls == [[1, 2, 3, 4, 5], [1, 2, 3], [4, 5]]


def test_out_of_memory_again_fails_that_half_alone() -> None:
    model = Failing(lambda batch: OOM if 5 in batch else None)
    assert lengths(guard(model)(CLIPS)) == [1, 2, 3, OutOfMemory, OutOfMemory]
    assert len(model.calls) == 3


def test_a_clip_that_does_not_fit_alone_is_tried_twice() -> None:
    model = Failing(lambda batch: MemoryError())
    assert lengths(guard(model)([clip(9)])) == [OutOfMemory]
    assert model.calls == [[9], [9]]


def test_a_bad_clip_does_not_fail_its_neighbours() -> None:
    model = Failing(lambda batch: ValueError("bad clip") if 3 in batch else None)
    assert lengths(guard(model)(CLIPS)) == [1, 2, ValueError, 4, 5]


def test_a_bad_clip_alone_is_not_tried_again() -> None:
    model = Failing(lambda batch: ValueError("bad clip"))
    assert lengths(guard(model)([clip(3)])) == [ValueError]
    assert model.calls == [[3]]


def test_a_device_fault_stays() -> None:
    model = Failing(lambda batch: RuntimeError("CUDA error: an illegal memory access was encountered\nfoo"))
    device = Device()
    guarded = guard(model, device)
    assert lengths(guarded(CLIPS)) == [DeviceFault] * 5
    assert device.fault == "CUDA error: an illegal memory access was encountered"
    assert lengths(guarded(CLIPS)) == [DeviceFault] * 5
    assert len(model.calls) == 1


def test_a_device_fault_is_one_for_all_who_share_the_device() -> None:
    device = Device()
    broken = Failing(lambda batch: RuntimeError("CUDA error: an illegal memory access was encountered"))
    other = Failing(lambda batch: None)
    assert lengths(guard(broken, device)(CLIPS)) == [DeviceFault] * 5
    assert lengths(guard(other, device)(CLIPS)) == [DeviceFault] * 5
    assert other.calls == []


def test_a_device_fault_during_the_second_try() -> None:
    def wrong(batch: list[int]) -> BaseException | None:
        return OOM if len(batch) > 3 else RuntimeError("CUDA error: unspecified launch failure")

    model = Failing(wrong)
    assert lengths(guard(model)(CLIPS)) == [DeviceFault] * 5
    assert len(model.calls) == 2


@pytest.mark.parametrize(
    ("problem", "memory", "device"),
    [
        (OOM, True, False),
        (MemoryError(), True, False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True, False),
        (RuntimeError("CUDA error: device-side assert triggered"), False, True),
        (torch.AcceleratorError("CUDA error: misaligned address"), False, True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error"), False, False),
    ],
)
def test_kinds_of_faults(problem: BaseException, memory: bool, device: bool) -> None:
    assert is_out_of_memory(problem) is memory
    assert is_device_fault(problem) is device
