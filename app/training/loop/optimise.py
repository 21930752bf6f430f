"""What a step needs: the optimiser, the precision, and the averaged weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from app.training.config import OptimConfig
from app.training.errors import ConfigError


class Average:
    """Exponential moving average of weights and statistics; what is evaluated and shipped."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser; biases, norms and single numbers do not decay."""
    return [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    groups = decay_groups(model, config.weight_decay)
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate)
        case "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def precision(amp: str, device: torch.device) -> torch.dtype:
    """What the network computes in. Raises ConfigError for fp16 without CUDA: PyTorch scales gradients only there."""
    if amp == "fp16" and device.type != "cuda":
        raise ConfigError("optim.amp=fp16 needs CUDA; on the CPU use bf16 or off")
    if amp == "auto":
        amp = "bf16" if device.type == "cuda" else "off"
    return {"off": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
