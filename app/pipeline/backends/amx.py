"""The network in bfloat16 on CPUs with AMX, each half as one TorchScript graph.

With AMX, bfloat16 takes less than half the time of float32. As graphs the halves run without Python's lock, so that the
event loop can work meanwhile; run one operator after the other, they would wait for the lock at each.

oneDNN compiles its kernels anew for each shape and keeps a thousand of them. Live batches have nearly every number of
rows and every length, so they are padded to a few of each: otherwise a third of the time went into compiling.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from app.pipeline.module2_feature.fusion import pose_alone
from app.pipeline.module3_sequence.model import ModelConfig, RGBConfig, SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR
from app.pipeline.module3_sequence.temporal import TemporalConvolution

#: Numbers of rows, and lengths in steps, that the graphs run with; above the largest, multiples of it.
_ROWS = (1, 2, 4, 8, 12, 16, 24, 32)
_STEPS = (2, 4, 6, 7, 8, 9, 10, 12, 16, 20, 24, 28, 32)


def suits(config: ModelConfig, device: str) -> bool:
    """Whether `AmxBackend` can run such a network on the device, and faster than `TorchBackend`."""
    reads = config.rgb is None and config.temporal == "bilstm"
    return device == "cpu" and reads and bool(torch.cpu.get_capabilities().get("amx_bf16"))


class _Convolution(nn.Module):
    """A `TemporalConvolution` as matrix products over rows (B, T, inputs), with batch norms folded into the weights:
    two thirds of the time of `Conv1d`, which wants time last and is padded and held at the ends by copies."""

    def __init__(self, convolution: TemporalConvolution) -> None:
        super().__init__()
        self.activation, self.pools = convolution.activation, convolution.pools
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for conv, norm in (
            (convolution.first, convolution.first_norm),
            (convolution.second, convolution.second_norm),
        ):
            layer = nn.Linear(conv.in_channels * conv.kernel_size[0], conv.out_channels)
            assert conv.bias is not None
            weight, bias = conv.weight.transpose(1, 2).flatten(1), conv.bias.data
            if isinstance(norm, nn.BatchNorm1d):
                mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
                gain = norm.weight / torch.sqrt(variance + norm.eps)
                weight, bias = weight * gain[:, None], (bias - mean) * gain + norm.bias
            self.norms.append(_layer_norm(norm) if isinstance(norm, nn.LayerNorm) else nn.Identity())
            layer.load_state_dict({"weight": weight, "bias": bias})
            self.layers.append(layer)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        for layer, norm, pool in zip(self.layers, self.norms, self.pools, strict=True):
            rows, frames, width = x.shape
            # The frames that each frame sees; before the first and after the last the same as these.
            seen = torch.minimum(torch.arange(-2, frames + 2).clamp(min=0)[None], lengths[:, None] - 1)
            seen = (seen + torch.arange(0, rows * frames, frames)[:, None]).unfold(1, 5, 1).flatten()
            x = x.flatten(0, 1).index_select(0, seen).view(rows * frames, 5 * width)
            x = self.activation(norm(layer(x))).view(rows, frames // pool, pool, -1).amax(2)
            lengths = lengths // pool
        return x


def _layer_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """The same over the last dimension."""
    own = nn.LayerNorm(norm.normalized_shape, norm.eps)
    own.load_state_dict(norm.state_dict())
    return own


class _EncodeFrames(nn.Module):
    """`SignModel.encode_frames`, without images."""

    def __init__(self, model: SignModel) -> None:
        super().__init__()
        networks = [model, *([model.expert.model] if model.expert else [])]
        self.poses = nn.ModuleList(network.pose for network in networks)
        self.convolutions = nn.ModuleList(_Convolution(network.convolution) for network in networks)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        frames = features.bfloat16()
        found = [
            convolution(pose(frames), lengths) for pose, convolution in zip(self.poses, self.convolutions, strict=True)
        ]
        return torch.cat(found, dim=-1).float()


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
        model = deepcopy(model).eval().requires_grad_(False)
        # More than one row, of different lengths, so that nothing is taken for a constant.
        frames, lengths = torch.zeros(3, 6 * TIME_DIVISOR, config.features), torch.tensor([6, 5, 2])
        short = torch.zeros(3, 6, config.short_dim)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is on its way out of PyTorch
            self._encode_frames = _graph(_EncodeFrames(model), frames, lengths * TIME_DIVISOR)
            self._classify = _graph(_Classify(model), short, lengths)

    def encode_images(self, crops: Tensor) -> Tensor:
        raise NotImplementedError("this backend reads landmarks only")

    def encode_frames(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows, frames = features.shape[:2]
        short = self._encode_frames(*_padded(features, lengths, TIME_DIVISOR))
        return short[:rows, : frames // TIME_DIVISOR], pose_alone(features)

    def classify(self, short: Tensor, steps: Sequence[int]) -> Tensor:
        rows, length = short.shape[:2]
        logits: Tensor = self._classify(*_padded(short, steps, 1))
        return logits[:rows, :length]


def _padded(rows: Tensor, lengths: Sequence[int], unit: int) -> tuple[Tensor, Tensor]:
    """Rows (B, T, dim) and their lengths, padded to one of `_ROWS` and one of `_STEPS`; unit: what a step has."""
    count, length = _next(_ROWS, len(rows)), unit * _next(_STEPS, rows.shape[1] // unit)
    more = count - len(rows)
    padded = nn.functional.pad(rows, (0, 0, 0, length - rows.shape[1], 0, more))
    return padded, torch.tensor([*lengths, *[unit] * more])


def _next(sizes: Sequence[int], least: int) -> int:
    return next((size for size in sizes if size >= least), -(-least // sizes[-1]) * sizes[-1])


def _graph(half: nn.Module, *example: Tensor) -> torch.jit.ScriptModule:
    short = half.eval().bfloat16()
    graph: torch.jit.ScriptModule = torch.jit.freeze(torch.jit.trace(short, example, check_trace=False))
    return graph
