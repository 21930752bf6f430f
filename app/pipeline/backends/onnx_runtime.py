"""A checkpoint's ONNX export on ONNX Runtime, an optional package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.pipeline.backends.base import GraphBackend, Half
from app.pipeline.backends.export import ABOUT, INSTALL, fingerprint
from app.pipeline.checkpoint import CheckpointError


class OnnxUnavailable(CheckpointError):
    """ONNX Runtime or the export is missing, stale or damaged; the message names the command that creates it."""


def has_cuda() -> bool:
    """Can the installed ONNX Runtime compute on CUDA? Raises OnnxUnavailable when there is none."""
    return "CUDAExecutionProvider" in _package().get_available_providers()


def open_export(checkpoint: Path, device: str = "cpu", threads: int = 1, folder: Path | None = None) -> GraphBackend:
    """The export in `folder` (default: onnx/ in the checkpoint), its tensors on the CPU. Raises OnnxUnavailable."""
    runtime = _package()
    folder = folder or checkpoint / "onnx"
    make = f"Create it with: python scripts/export_onnx.py {checkpoint}"
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        stale = about["made_of"] != fingerprint(checkpoint)
    except FileNotFoundError as problem:
        raise OnnxUnavailable(f"there is no ONNX export of the checkpoint in {folder}. {make}") from problem
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise OnnxUnavailable(f"the ONNX export in {folder} is damaged ({problem}). {make}") from problem
    if stale:
        raise OnnxUnavailable(f"the ONNX export in {folder} was made from other weights than the checkpoint's. {make}")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if not has_cuda():
            raise OnnxUnavailable(
                f"the installed ONNX Runtime cannot compute on {device}: it has no CUDA provider. "
                "Set DEVICE=cpu, or install onnxruntime-gpu in place of onnxruntime"
            )
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}))

    def half(name: str) -> Half:
        path = folder / f"{name}.onnx"
        try:
            session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as problem:
            raise OnnxUnavailable(f"ONNX Runtime cannot load {path}: {problem}. {make}") from problem

        def run(rows: Tensor) -> Tensor:
            (out,) = session.run(None, {"rows": np.ascontiguousarray(rows.numpy(), np.float32)})
            return torch.from_numpy(out)

        return run

    return GraphBackend(half("shorten"), half("classify"))


def _package() -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise OnnxUnavailable(f"ONNX Runtime is not installed ({problem}). {INSTALL}") from problem
    return onnxruntime
