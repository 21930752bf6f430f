"""The network in bfloat16 on CPUs with AMX, each half as one TorchScript graph.

With AMX, bfloat16 takes less than half the time of float32. As graphs the halves run without Python's lock, so that the
event loop can work meanwhile; run one operator after the other, they would wait for the lock at each.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from app.pipeline.module3_sequence.model import ModelConfig, RGBConfig, SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR


def suits(config: ModelConfig, device: str) -> bool:
    """Whether `AmxBackend` can run such a network on the device, and faster than `TorchBackend`."""
    reads = config.rgb is None and config.temporal == "bilstm"
    return device == "cpu" and reads and bool(torch.cpu.get_capabilities().get("amx_bf16"))


class _EncodeFrames(nn.Module):
    def __init__(self, model: SignModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        short, gates = self.model.encode_frames(features.bfloat16(), lengths)
        return short.float(), gates.float()


class _Classify(nn.Module):
    def __init__(self, model: SignModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, short: Tensor, steps: Tensor) -> Tensor:
        return self.model.classify(short.bfloat16(), steps)


class AmxBackend:
    """A `Backend` of landmarks alone; see `suits`."""

    rgb: RGBConfig | None = None
    amp = True

    def __init__(self, model: SignModel) -> None:
        config = model.config
        short_model = deepcopy(model).eval().bfloat16().requires_grad_(False)
        # More than one row, of different lengths, so that nothing is taken for a constant.
        frames, lengths = torch.zeros(3, 6 * TIME_DIVISOR, config.features), torch.tensor([6, 5, 2])
        short = torch.zeros(3, 6, config.short_dim)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is on its way out of PyTorch
            self._encode_frames = _graph(_EncodeFrames(short_model), frames, lengths * TIME_DIVISOR)
            self._classify = _graph(_Classify(short_model), short, lengths)

    def encode_images(self, crops: Tensor) -> Tensor:
        raise NotImplementedError("this backend reads landmarks only")

    def encode_frames(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self._encode_frames(features, torch.tensor(lengths))
        return found

    def classify(self, short: Tensor, steps: Sequence[int]) -> Tensor:
        logits: Tensor = self._classify(short, torch.tensor(steps))
        return logits


def _graph(half: nn.Module, *example: Tensor) -> torch.jit.ScriptModule:
    graph: torch.jit.ScriptModule = torch.jit.freeze(torch.jit.trace(half.eval(), example, check_trace=False))
    return graph
