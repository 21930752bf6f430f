"""The shipped preview of the large vocabulary: what it is, and that the service's recogniser reads with it."""

from __future__ import annotations

from pathlib import Path

import torch

from app.pipeline.checkpoint import read_config
from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.names import left_out
from tests.support.recognisers import varied

CHECKPOINTS = Path(__file__).parents[4] / "checkpoints"
FOLDER = CHECKPOINTS / "asl-large"


def test_it_is_small_whole_and_reads_landmarks() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size < 9.5e6
    recogniser = Recogniser.load(FOLDER)
    assert len(recogniser.vocabulary) == 1616
    assert set(read_config(CHECKPOINTS / "asl-everyday").vocabulary) < set(recogniser.vocabulary)
    assert not left_out() & set(recogniser.vocabulary)
    assert {p.dtype for p in recogniser.model.parameters()} == {torch.float32}
    recogniser.recognise(varied(80))


def test_its_card_and_config_name_no_paths_of_a_machine() -> None:
    for name in ("config.json", "MODEL_CARD.md"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert not any(place in text for place in ("/work", "/home", "/tmp", "/root"))
