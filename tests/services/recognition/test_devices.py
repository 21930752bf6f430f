from __future__ import annotations

from unittest.mock import patch

import pytest

from app.core.settings import SettingsError
from app.services.recognition.devices import resolve_device


@pytest.mark.parametrize(
    ("cards", "wish", "device"),
    [(0, "cpu", "cpu"), (0, "auto", "cpu"), (2, "auto", "cuda:0"), (2, "cuda", "cuda:0"), (2, "cuda:1", "cuda:1")],
)
def test_what_is_there_is_used(cards: int, wish: str, device: str) -> None:
    with patch("torch.cuda.is_available", return_value=cards > 0), patch("torch.cuda.device_count", return_value=cards):
        assert resolve_device(wish) == device


@pytest.mark.parametrize(
    ("cards", "wish", "said"),
    [(0, "cuda", "sees no CUDA device"), (0, "cuda:0", "DEVICE=cpu"), (1, "cuda:1", "only 1 CUDA device, numbered")],
)
def test_what_is_not_there_is_refused_with_a_remedy(cards: int, wish: str, said: str) -> None:
    with (
        patch("torch.cuda.is_available", return_value=cards > 0),
        patch("torch.cuda.device_count", return_value=cards),
        pytest.raises(SettingsError, match=said),
    ):
        resolve_device(wish)
