"""The random states of a process as one row of numbers, so that a resumed run draws as an uninterrupted one would."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state(device: torch.device) -> Tensor:
    """Python's, NumPy's, PyTorch's generator and that of the GPU: (n,) int64, n fixed for a kind of device.

    A half-used pair of normal draws (Python's and NumPy's second Gaussian) is not kept: nothing here draws those.
    """
    _, python, _ = random.getstate()
    _, numpy, position, *_ = np.random.get_state(legacy=True)
    parts = [
        torch.tensor(python, dtype=torch.int64),
        torch.from_numpy(np.asarray(numpy, np.int64)),
        torch.tensor([int(position)]),
        torch.get_rng_state().to(torch.int64),
    ]
    if device.type == "cuda":
        parts.append(torch.cuda.get_rng_state(device).to(torch.int64))
    return torch.cat(parts)


def restore_random_state(state: Tensor, device: torch.device) -> None:
    """Inverse of `random_state`. The GPU's is left out where the state was saved on a machine without one."""
    python, numpy, position, torch_state, cuda = state.split(
        [625, 624, 1, (n := len(torch.get_rng_state())), len(state) - 1250 - n]
    )
    random.setstate((3, tuple(python.tolist()), None))
    np.random.set_state(("MT19937", numpy.numpy().astype(np.uint32), int(position), 0, 0.0))
    torch.set_rng_state(torch_state.to(torch.uint8))
    if device.type == "cuda" and len(cuda):
        torch.cuda.set_rng_state(cuda.to(torch.uint8), device)
