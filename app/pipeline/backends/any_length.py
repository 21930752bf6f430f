"""Operations that torch.export would fix to the length of its example, written so that they stay dynamic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@torch.library.custom_op("glossline::lstm", mutates_args=())
def lstm(x: Tensor, weights: Sequence[Tensor], layers: int, bidirectional: bool) -> Tensor:
    """(B, S, dim) -> (B, S, hidden): torch's LSTM from zero states, as one operator.

    torch.export unrolls torch's own LSTM into its steps, so the export could read only one length.
    """
    hidden = weights[1].shape[1]
    zeros = x.new_zeros(layers * (1 + bidirectional), x.shape[0], hidden)
    out: Tensor = torch.lstm(x, (zeros, zeros), list(weights), True, layers, 0.0, False, bidirectional, True)[0]
    return out.contiguous()


@lstm.register_fake
def _(x: Tensor, weights: Sequence[Tensor], layers: int, bidirectional: bool) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], weights[1].shape[1] * (1 + bidirectional))


class AnyLength(TorchFunctionMode):
    """While it is on, the LSTM is one operator and pooling over time is the largest of each group."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.lstm:
            x, _, weights, _, layers, _, _, bidirectional, _ = args
            return lstm(x, weights, layers, bidirectional), None, None
        if func is F.max_pool1d:
            return args[0].unflatten(-1, (-1, args[1])).amax(-1)
        return func(*args, **(kwargs or {}))
