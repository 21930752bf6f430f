from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.backends.base import fast_bfloat16
from app.pipeline.recogniser import Recogniser


@pytest.mark.parametrize("amx", [True, False])
def test_a_cpu_computes_in_bfloat16_where_that_is_faster(
    tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch, amx: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert fast_bfloat16("cuda:1")
    assert fast_bfloat16("cpu") is amx
    folder = tiny_checkpoints / "tiny"
    assert not Recogniser.load(folder).amp
    assert Recogniser.load(folder, amp=True).amp is amx


def test_bfloat16_says_nearly_the_same(tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    exact, short = (Recogniser.load(tiny_checkpoints / "tiny", amp=amp) for amp in (False, True))
    rows = np.random.default_rng(0).standard_normal((3, 40, exact.frame_dim)).astype(np.float32)
    windows = [rows[0], rows[1, :21], rows[2, :9]]
    for one, other in zip(exact.log_probs(windows), short.log_probs(windows), strict=True):
        assert np.abs(np.exp(one.log_probs) - np.exp(other.log_probs)).max() < 0.05
