"""The recogniser that the settings ask for, loaded."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from app.core.settings import Settings, SettingsError
from app.pipeline.backends.onnx_runtime import OnnxUnavailable, has_cuda
from app.pipeline.recogniser import Recogniser
from app.services.recognition.devices import resolve_device


def load_recogniser(settings: Settings, threads: int | None = None, folder: Path | None = None) -> Recogniser:
    """threads: for a call where TORCH_THREADS is unset. folder: of another checkpoint than the settings name.

    Raises CheckpointError or SettingsError with what to do.
    """
    try:
        recogniser = Recogniser.load(
            folder or settings.checkpoint_path,
            device=_device(settings),
            amp=settings.use_amp,
            threads=settings.torch_threads or threads,
            backend=settings.inference_backend,
        )
    except OnnxUnavailable as problem:
        raise SettingsError(f"INFERENCE_BACKEND=onnx: {problem}; or set INFERENCE_BACKEND=torch.") from problem
    if recogniser.config.model.rgb is not None and recogniser.backend.rgb is None:
        logger.warning(
            "checkpoint {} was trained on pictures and landmarks; captions are read from the landmarks alone, as its "
            "figure without pictures says (wer_pose). Pictures are read with INFERENCE_BACKEND=torch and an RGB stream "
            "that sees each frame alone (resnet18, resnet34, resnet50)",
            recogniser.model_id,
        )
    return recogniser


def _device(settings: Settings) -> str:
    if settings.inference_backend == "onnx" and settings.device == "auto" and not has_cuda():
        return "cpu"  # a card that only PyTorch can use is none
    return resolve_device(settings.device)
