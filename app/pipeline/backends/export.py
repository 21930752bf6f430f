"""The network's two halves as files that run without its Python code: ONNX, TorchScript and torch.export.

Pose stream only, float32, any batch and any number of frames that is a multiple of 4. Each format is a folder with
`shorten.*` (the first half, under the name older exports have), `classify.*` and `export.json`, which says from which
weights they were made.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

from app.pipeline.backends.any_length import AnyLength
from app.pipeline.backends.base import GraphBackend, Half
from app.pipeline.checkpoint import CheckpointError, load_checkpoint
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR

Format = Literal["onnx", "torchscript", "torch-export"]
SUFFIX: dict[Format, str] = {"onnx": "onnx", "torchscript": "ts", "torch-export": "pt2"}
ABOUT = "export.json"
INSTALL = "Install what ONNX needs with: python -m pip install -r requirements-onnx.txt"
_EXAMPLE = (2, 64)  # rows and frames of what the graphs are traced with; 1 would be taken for a constant


class EncodeFrames(nn.Module):
    """First half over whole rows: features (B, T, NUM_FEATURES) -> (B, T / 4, short_dim)."""

    def __init__(self, model: SignModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        return self.model.encode_frames(features, None)[0]


class Classify(nn.Module):
    """Second half over whole rows: (B, S, short_dim) -> logits (B, S, 1 + labels)."""

    def __init__(self, model: SignModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, short: Tensor) -> Tensor:
        return self.model.classify(short, None)


def fingerprint(checkpoint: Path) -> str:
    """Hash of the weights and of the configuration of the network they are for. Raises OSError, ValueError."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    network = json.dumps(config.get("model"), sort_keys=True).encode()
    return hashlib.sha256((checkpoint / "model.safetensors").read_bytes() + network).hexdigest()


def export_checkpoint(checkpoint: Path, format: Format, out: Path | None = None) -> Path:
    """Write both halves into `out` (default: a folder named after the format in the checkpoint) and return it.

    Raises CheckpointError, also where the package for ONNX is missing or the network cannot be exported so.
    """
    if format == "onnx" and find_spec("onnx") is None:
        raise CheckpointError(f"The package onnx is not installed. {INSTALL}")
    out = out or checkpoint / format
    settings, model = load_checkpoint(checkpoint)
    if settings.model.temporal == "transformer" and format != "torchscript":
        # Traced attention keeps the batch or the length of its example.
        raise CheckpointError(f"{settings.model_id} has a Transformer, which is exported as torchscript only")
    about = {"model_id": settings.model_id, "made_of": fingerprint(checkpoint), "torch": torch.__version__}
    model.requires_grad_(False)
    out.mkdir(parents=True, exist_ok=True)
    # Written last and removed first: while it exists, the files beside it are complete and belong to it.
    (out / ABOUT).unlink(missing_ok=True)
    rows, frames = _EXAMPLE
    examples = {
        "shorten": (EncodeFrames(model), torch.zeros(rows, frames, NUM_FEATURES)),
        "classify": (Classify(model), torch.zeros(rows, frames // TIME_DIVISOR, model.config.short_dim)),
    }
    with _plain_attention(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing and the exporter warn of what the parity check measures
        for name, (half, example) in examples.items():
            _WRITERS[format](half.eval(), example, out / f"{name}.{SUFFIX[format]}")
    (out / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return out


def open_torch_export(folder: Path, format: Literal["torchscript", "torch-export"]) -> GraphBackend:
    """What `export_checkpoint` wrote, ready to run on the CPU. Programs of torch.export name the operator of
    `any_length`, so import that module before loading them elsewhere."""
    paths = [folder / f"{name}.{SUFFIX[format]}" for name in ("shorten", "classify")]
    halves: list[Half]
    if format == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript is on its way out of PyTorch
            halves = [torch.jit.load(path) for path in paths]
    else:
        halves = [torch.export.load(path).module() for path in paths]
    return GraphBackend(*halves)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without the fused transformer layer, which no export format knows."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _write_onnx(half: nn.Module, example: Tensor, path: Path) -> None:
    # Not the newer exporter (dynamo=True): it unrolls the LSTM, and the graph then reads windows of one length only.
    axes = {0: "batch", 1: "time"}
    torch.onnx.export(
        half,
        (example,),
        str(path),
        dynamo=False,
        input_names=["rows"],
        output_names=["out"],
        dynamic_axes={"rows": axes, "out": axes},
    )


def _write_torchscript(half: nn.Module, example: Tensor, path: Path) -> None:
    with torch.no_grad():
        torch.jit.save(torch.jit.freeze(torch.jit.trace(half, (example,))), str(path))


def _write_torch_export(half: nn.Module, example: Tensor, path: Path) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    # Size-oblivious: otherwise one row, or a window of one step, is a special case that the program refuses.
    with AnyLength(), shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(half, (example,), dynamic_shapes=({0: dynamic, 1: dynamic},))
    torch.export.save(program, path)


_WRITERS: dict[Format, Callable[[nn.Module, Tensor, Path], None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "torch-export": _write_torch_export,
}
