"""The torch device to use."""

from __future__ import annotations

from app.core.settings import SettingsError


def resolve_device(wanted: str) -> str:
    """'auto', 'cpu', 'cuda' or 'cuda:N' -> the torch device to use. Raises SettingsError with what to do when that
    device is not available."""
    if wanted == "cpu":
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    if not count:
        raise SettingsError(
            f"DEVICE={wanted}, but PyTorch sees no CUDA device here. Set DEVICE=cpu or DEVICE=auto, or install the "
            "NVIDIA driver (check with nvidia-smi; in a container, start it with --gpus all)."
        )
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        raise SettingsError(
            f"DEVICE={wanted}, but there {'is' if count == 1 else 'are'} only {count} CUDA "
            f"device{'' if count == 1 else 's'}, numbered from 0. Set DEVICE to cuda:{count - 1} or lower, or to auto."
        )
    return f"cuda:{index}"


def cuda_available() -> bool:
    import torch

    return bool(torch.cuda.is_available())
