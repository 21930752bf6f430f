"""Loading the recogniser that the settings name."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from app.core.settings import Settings, SettingsError
from app.pipeline.backends.onnx_runtime import OnnxUnavailable, has_cuda
from app.pipeline.recogniser import Recogniser
from app.services.recognition.devices import resolve_device


def load_recogniser(settings: Settings, threads: int | None = None, folder: Path | None = None) -> Recogniser:
    """threads: per call if TORCH_THREADS is unset. folder: of a checkpoint other than that of the settings. Raises
    CheckpointError or SettingsError with what to do."""
    try:
        # A GPU that only PyTorch can use is of no use to ONNX Runtime.
        on_cpu = settings.inference_backend == "onnx" and settings.device == "auto" and not has_cuda()
        recogniser = Recogniser.load(
            folder or settings.checkpoint_path,
            device="cpu" if on_cpu else resolve_device(settings.device),
            amp=settings.use_amp,
            threads=settings.torch_threads or threads,
            backend=settings.inference_backend,
            lm_weight=settings.gloss_lm_weight,
        )
    except OnnxUnavailable as problem:
        raise SettingsError(f"INFERENCE_BACKEND=onnx: {problem}; or set INFERENCE_BACKEND=torch.") from problem
    if settings.gloss_lm_weight and recogniser.lm is None:
        logger.warning("checkpoint {} has no gloss language model; GLOSS_LM_WEIGHT has no effect", recogniser.model_id)
    if recogniser.config.model.rgb is not None and recogniser.backend.rgb is None:
        logger.warning(
            "checkpoint {} was trained on images and landmarks, but only landmarks are read here (figure: wer_pose). "
            "Images are read with INFERENCE_BACKEND=torch and an RGB stream that reads single frames "
            "(resnet18, resnet34, resnet50)",
            recogniser.model_id,
        )
    return recogniser
