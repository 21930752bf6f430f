"""Temporal model: convolutions that divide time by four, then a recurrent or attention encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

#: Frames per lattice step.
TIME_DIVISOR = 4


class TemporalConvolution(nn.Module):
    """K5-P2-K5-P2: (B, T, inputs) -> (B, T / 4, outputs), T a multiple of 4; edges replicated, not zero-padded."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 5)
        self.second = nn.Conv1d(outputs, outputs, 5)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second_norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for conv, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = F.max_pool1d(F.relu(norm(conv(F.pad(x, (2, 2), mode="replicate")))), 2)
            x = self.dropout(x)
        return x.transpose(1, 2)


class BiLSTM(nn.Module):
    """(B, S, dim), lengths (B,) -> (B, S, dim); steps past a clip's length do not reach it."""

    def __init__(self, dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            dim, dim // 2, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if bool((lengths == x.shape[1]).all()):
            return self.lstm(x)[0]
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class AttentionEncoder(nn.Module):
    """Transformer encoder, (B, S, dim), lengths (B,) -> (B, S, dim).

    Position comes from sinusoids (Vaswani et al., 2017) added to the input.
    """

    def __init__(self, dim: int, layers: int, dropout: float, heads: int = 4) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.dim = dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1], device=x.device)
        rates = torch.exp(torch.arange(0, self.dim, 2, device=x.device) * (-9.21 / self.dim))
        angles = steps[:, None] * rates
        positions = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        padding = steps[None, :] >= lengths[:, None].to(x.device)
        return self.encoder(x + positions.to(x.dtype), src_key_padding_mask=padding)
