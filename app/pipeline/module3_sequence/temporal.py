"""Temporal model: convolutions that divide time by four, then a recurrent or attention encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class TemporalConvolution(nn.Module):
    """K5-P2-K5-P2: (B, T, inputs), lengths (B,) -> (B, T / 4, outputs); T and lengths multiples of 4.

    Edges are replicated, not zero-padded. Without lengths all rows are whole.

    norm: "batch" normalises with the statistics of batches and is followed by ReLU; "layer" normalises each frame on
    its own, so that corpora trained together do not share statistics, and is followed by GELU.
    """

    #: What each pooling divides time by; their product is TIME_DIVISOR.
    pools: ClassVar[tuple[int, int]] = (2, 2)

    def __init__(self, inputs: int, outputs: int, dropout: float, norm: Literal["batch", "layer"] = "batch") -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 5)
        self.second = nn.Conv1d(outputs, outputs, 5)
        self.activation: Callable[[Tensor], Tensor] = F.relu if norm == "batch" else F.gelu
        make: type[nn.Module] = nn.BatchNorm1d if norm == "batch" else _ChannelNorm
        self.first_norm = make(outputs)
        self.second_norm = make(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        x = x.transpose(1, 2)
        layers = ((self.first, self.first_norm), (self.second, self.second_norm))
        for (conv, norm), pool in zip(layers, self.pools, strict=True):
            if lengths is not None:
                x, lengths = _hold_last(x, lengths), lengths // pool
            x = self.dropout(F.max_pool1d(self.activation(norm(conv(F.pad(x, (2, 2), mode="replicate")))), pool))
        return x.transpose(1, 2)


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        # Contiguous: torch.export would otherwise read the strides as a least length.
        return super().forward(x.transpose(1, 2).contiguous()).transpose(1, 2).contiguous()


def _hold_last(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, C, T) with everything past each clip's length replaced by its last value.

    Each layer needs this, so that a clip in a padded batch gives exactly the output it gives alone.
    """
    if _all_whole(lengths, x.shape[2]):
        return x
    index = torch.minimum(torch.arange(x.shape[2], device=x.device)[None], lengths[:, None] - 1)
    return x.gather(2, index[:, None].expand(-1, x.shape[1], -1))


def _all_whole(lengths: Tensor, longest: int) -> bool:
    """Whether no row is padded. A graph that is traced is for padded rows."""
    return not torch.jit.is_tracing() and bool((lengths == longest).all())


class BiLSTM(nn.Module):
    """(B, S, dim), lengths (B,) or None for whole rows -> (B, S, dim); steps past a clip's length do not reach it.

    hidden: cells of each direction, projected back to dim; None: dim / 2 cells, no projection. residual: the input is
    added to the output.
    """

    def __init__(
        self, dim: int, layers: int, dropout: float, hidden: int | None = None, residual: bool = False
    ) -> None:
        super().__init__()
        cells = hidden or dim // 2
        self.lstm = nn.LSTM(
            dim, cells, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * cells, dim)) if hidden else None
        self.residual = residual

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None or _all_whole(lengths, x.shape[1]):
            y = self.lstm(x)[0]
        elif x.device.type == "cpu" and x.dtype == torch.bfloat16:
            y = self._each_direction(x, lengths)
        else:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            y = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        if self.out is not None:
            y = self.out(y)
        return x + y if self.residual else y

    def _each_direction(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The same as of packed rows, a direction at a time, the second over reversed rows: PyTorch's CPU kernel for
        packed rows is not faster in bfloat16, that for whole rows is. Without dropout."""
        start = x.new_zeros(1, x.shape[0], self.lstm.hidden_size)
        for layer in range(self.lstm.num_layers):
            forward, backward = self.lstm.all_weights[2 * layer : 2 * layer + 2]
            there = self._direction(x, forward, start)
            back = reversed_rows(self._direction(reversed_rows(x, lengths), backward, start), lengths)
            x = torch.cat([there, back], dim=-1)
        return x

    @staticmethod
    def _direction(x: Tensor, weights: Sequence[Tensor], start: Tensor) -> Tensor:
        return torch.lstm(x, [start, start], list(weights), True, 1, 0.0, False, False, True)[0]


def reversed_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, S, dim) with each row's first `lengths` steps in reverse order, the others as they are."""
    steps = torch.arange(x.shape[1], device=x.device)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    rows = (source + torch.arange(0, x.shape[0] * x.shape[1], x.shape[1], device=x.device)[:, None]).flatten()
    return x.flatten(0, 1).index_select(0, rows).view_as(x)


class AttentionEncoder(nn.Module):
    """Transformer encoder, (B, S, dim), lengths (B,) or None for whole rows -> (B, S, dim).

    Position comes from sinusoids (Vaswani et al., 2017) added to the input.
    """

    def __init__(self, dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            dim, 4, 4 * dim, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.dim = dim

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        steps = torch.arange(x.shape[1], device=x.device)
        rates = torch.exp(torch.arange(0, self.dim, 2, device=x.device) * (-9.21 / self.dim))
        angles = steps[:, None] * rates
        positions = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        padding = None if lengths is None else steps[None, :] >= lengths[:, None].to(x.device)
        return self.encoder(x + positions.to(x.dtype), src_key_padding_mask=padding)
