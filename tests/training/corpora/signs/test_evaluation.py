from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.training.corpora.signs.clips import NONE, Clip, load_signs
from app.training.corpora.signs.evaluation import idle_examples
from tests.support.commands import evaluate, train
from tests.support.signs_corpus import CONFIG, write_corpus


def test_idle_input_is_made_of_what_the_clips_have(tmp_path: Path) -> None:
    clips = load_signs(write_corpus(tmp_path), "dev")
    assert set(idle_examples(clips, 10, seed=9)) == {"none clips", "still person", "empty"}
    signs = [c for c in clips if c.gloss != NONE]
    assert set(idle_examples(signs, 10, seed=9)) == {"still person", "empty"}  # at rest before their signs
    assert set(idle_examples([Clip(c.gloss, c.signer, c.points[3:]) for c in signs], 10, seed=9)) == {"empty"}
    with_hands = [Clip(c.gloss, c.signer, c.points[3:]) for c in clips]
    assert len(idle_examples(with_hands, 10, seed=9)["still person"]) == 10  # of NONE clips alone
    assert idle_examples([], 10, seed=9).keys() == {"empty"}


@pytest.mark.slow
def test_a_dev_split_without_none_clips_is_trained_on_and_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "signs").mkdir()
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    data = write_corpus(tmp_path / "signs", dev=("HELLO", "YES", "NAME"))
    arguments = ["--config", tmp_path / "tiny.yaml", "--data", data, "--out", tmp_path / "run"]
    assert train([*arguments, "--workers", 0, "--device", "cpu"]) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert np.isfinite(log[-1]["wer"])
    capsys.readouterr()
    assert evaluate(["--checkpoint", tmp_path / "run" / "final", "--data", data]) == 0
    assert "none clips" not in capsys.readouterr().out
