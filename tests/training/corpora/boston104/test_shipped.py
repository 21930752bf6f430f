"""The shipped checkpoint of BOSTON-104: what it is, and that it reads the test sentences as its card says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.recogniser import Recogniser
from app.training.corpora.boston104.recogniser import TrackRecogniser
from tests.support.commands import evaluate

FOLDER = Path(__file__).parents[4] / "checkpoints" / "boston104"


def test_it_is_small_whole_and_not_for_cameras() -> None:
    reader = TrackRecogniser.load(FOLDER)
    assert len(reader.vocabulary) == 112
    assert reader.lm.vocabulary == reader.vocabulary
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 12e6
    with pytest.raises(CheckpointError, match="which no camera provides"):
        Recogniser.load(FOLDER)


@pytest.mark.slow
def test_the_figures_of_the_card_come_out_again(shared_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "--checkpoint",
        "boston104",
        "--data",
        str(shared_folder / "data" / "boston104"),
        "--split",
        "test",
        "--json",
    ]
    assert evaluate(command) == 0
    figures = json.loads(capsys.readouterr().out)
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    for way, sets in figures["ways"].items():
        for name in sets:
            (row,) = re.findall(rf"^\| {re.escape(way)} \|.*of 178\).*$", card, re.MULTILINE)
            assert f"{sets[name]['wer']:.1%} (S {sets[name]['substitutions']}," in row
    best = figures["ways"][figures["headline"]]
    assert best["all"]["signs"] == 178
    assert best["all"]["wer"] <= 0.30
    counts = [best[name]["sentences"] for name in ("wording of a training sentence", "new wording")]
    assert counts == [26, 14]
