"""Batch normalisation over the batches of all processes, so that several compute what one would.

CUDA has PyTorch's own SyncBatchNorm, which refuses CPU tensors; `SharedBatchNorm` is the same for Gloo.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose gradient is the all-reduced gradient: what one rank adds reaches every rank's loss."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(_BatchNorm):
    """(N, C, ...) -> the same shape, normalised over all ranks, N and what follows C (Ioffe & Szegedy, 2015)."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (N, C, ...), got {tuple(input.shape)}")

    @torch.compiler.disable  # collectives do not compile
    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        over = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        here = torch.cat([x.sum(over), x.new_tensor([x.numel() // x.shape[1]])])
        total = _SumOverRanks.apply(here)
        count = total[-1].detach()
        mean = total[:-1] / count
        # A second round over the differences: a mean of squares less the square of the mean loses digits.
        centred = x - mean.view(shape)
        variance = _SumOverRanks.apply(centred.square().sum(over)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                momentum = self.momentum or 1 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * count / (count - 1).clamp_min(1), momentum)
        out = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)


def share_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Make every batch normalisation inside `model` one over all ranks, in place; names of weights stay."""
    if device.type == "cuda":
        for name, child in model.named_children():
            setattr(model, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
        return
    for parent in model.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                shared = SharedBatchNorm(
                    child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
                )
                shared.load_state_dict(child.state_dict())
                setattr(parent, name, shared.train(child.training))
