from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.pipeline.backends.amx import AmxBackend
from app.pipeline.module3_sequence.model import ExpertConfig, ModelConfig, SignModel
from app.pipeline.recogniser import Recogniser

LARGE = {"body": "head", "norm": "layer", "hidden": 12, "residual": True}


@pytest.mark.parametrize("amx", [True, False])
def test_a_cpu_computes_in_bfloat16_where_that_is_faster(
    tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch, amx: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    folder = tiny_checkpoints / "tiny"
    assert not Recogniser.load(folder).amp
    assert Recogniser.load(folder, amp=True).amp is amx


def test_bfloat16_says_nearly_the_same(tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    exact, short = (Recogniser.load(tiny_checkpoints / "tiny", amp=amp) for amp in (False, True))
    rng = np.random.default_rng(0)
    for sizes in ([40, 21, 9], [40, 40], [1], [64, 64, 64, 30, 4]):
        windows = [rng.standard_normal((size, exact.frame_dim)).astype(np.float32) for size in sizes]
        for one, other in zip(exact.log_probs(windows), short.log_probs(windows), strict=True):
            assert one.log_probs.shape == other.log_probs.shape
            assert np.abs(np.exp(one.log_probs) - np.exp(other.log_probs)).max() < 0.05
            np.testing.assert_allclose(one.rgb, other.rgb)


@pytest.mark.parametrize("network", [{}, LARGE, {**LARGE, "expert": True}])
@pytest.mark.parametrize("lengths", [[28], [48, 4, 24, 40, 12], [140, 132]])
def test_it_reads_as_the_network_does(network: dict[str, Any], lengths: list[int]) -> None:
    torch.manual_seed(0)
    own = {"labels": 5, "body_dim": 8, "hand_dim": 8, "model_dim": 16}
    if "expert" in network:
        network = {**network, "expert": ExpertConfig((2, 4), 0.5, ModelConfig(**{**own, "labels": 2}))}
    model = SignModel(ModelConfig(**{**own, **network})).train()
    every = torch.tensor(lengths)
    rows = torch.randn(len(lengths), max(lengths), model.config.features).bfloat16().float()
    with torch.no_grad():
        for _ in range(20):  # batch norms get statistics
            model.encode_frames(rows * 1.5 + 0.5, every)
        exact, gates = model.eval().encode_frames(rows, every)
    backend = AmxBackend(model)
    short, own_gates = backend.encode_frames(rows, lengths)
    assert short.shape == exact.shape
    torch.testing.assert_close(own_gates, gates)
    for row, other, length in zip(short, exact, lengths, strict=True):
        wrong = row[: length // 4] - other[: length // 4]
        assert wrong.norm() < 0.03 * other[: length // 4].norm()


@pytest.mark.parametrize("network", [{}, LARGE])
def test_a_window_in_a_batch_is_read_as_alone(network: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = ModelConfig(labels=5, body_dim=8, hand_dim=8, model_dim=16, **network)  # type: ignore[arg-type]
    backend = AmxBackend(SignModel(config))
    rows, lengths = torch.randn(4, 48, config.features), [48, 4, 24, 40]
    short, _ = backend.encode_frames(rows, lengths)
    logits = backend.classify(short, [length // 4 for length in lengths])
    for row, length in enumerate(lengths):
        alone, _ = backend.encode_frames(rows[row : row + 1, :length], [length])
        torch.testing.assert_close(alone[0], short[row, : length // 4], atol=0.02, rtol=0.02)
        own = backend.classify(alone, [length // 4])[0]
        torch.testing.assert_close(own, logits[row, : length // 4], atol=0.1, rtol=0.05)
