"""Corpora that are not as they should be: one signer, a signer in both splits, clips in which no hand is ever seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loguru import logger

from app.training.corpora.glosses.bank import check_signers, load_bank
from app.training.corpora.glosses.strokes import find_strokes
from app.training.errors import CorpusError
from tests.support.commands import glosses, train
from tests.support.glosses_corpus import write_corpora

WORDS = ("book", "drink", "computer", "go")
PEOPLE = [(word, who, split) for split, who in (("train", "ann"), ("train", "bob"), ("dev", "eve")) for word in WORDS]
CONFIG = """
kind: glosses
steps: 4
batch_size: 4
workers: 0
model: {model_dim: 16, hand_dim: 8, body_dim: 8, hidden: 8}
"""


def arguments(tmp_path: Path, data: Path) -> list[str]:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return f"--config {tmp_path / 'tiny.yaml'} --data {data} --out {tmp_path / 'run'} --device cpu".split()


@pytest.mark.parametrize("split", ["train", "dev"])
def test_one_signer_is_refused_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str) -> None:
    clips = [(word, "ann", where) for where in {"train", split} for word in WORDS]
    data = write_corpora(tmp_path / "data", clips)
    assert train(arguments(tmp_path, data)) == 2
    said = capsys.readouterr().err
    assert "clips show one signer (ann)" in said
    assert "Add recordings of at least one other person" in said
    assert glosses(["train", "--data", data, "--out", tmp_path / "other", "--device", "cpu"]) == 2
    assert "clips show one signer (ann)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_signer_in_both_splits_is_refused_by_name(tmp_path: Path) -> None:
    bank = load_bank(write_corpora(tmp_path, [*PEOPLE, ("go", "bob", "dev")]))
    with pytest.raises(CorpusError, match="bob is in both train and dev"):
        check_signers(bank)


def test_one_training_signer_beside_others_in_dev_is_a_warning(tmp_path: Path) -> None:
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    try:
        check_signers(load_bank(write_corpora(tmp_path, [clip for clip in PEOPLE if clip[1] != "bob"])))
    finally:
        logger.remove(sink)
    assert "all training clips show one signer" in said[0]


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    bank = load_bank(write_corpora(tmp_path / "dev", [clip for clip in PEOPLE if clip[2] == "dev"]))
    with pytest.raises(CorpusError, match="no training clip"):
        check_signers(bank)
    with pytest.raises(CorpusError, match="hold no clip of a sign"):
        load_bank(write_corpora(tmp_path / "none", []))


def test_clips_without_hands_teach_nothing_and_count_in_dev(tmp_path: Path) -> None:
    """Numbers 1 and 9 are DRINK, of ann in training and of eve in dev."""
    data = write_corpora(tmp_path / "data", PEOPLE, without_hands=[1, 9])
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    try:
        bank = load_bank(data)
    finally:
        logger.remove(sink)
    assert "1 training clips are left out, because no hand is seen in them: DRINK of ann" in said[0]
    assert [(c.gloss, c.signer) for c in bank.clips if c.gloss == "DRINK"] == [("DRINK", "bob"), ("DRINK", "eve")]

    empty = next(i for i, c in enumerate(bank.clips) if (c.gloss, c.signer) == ("DRINK", "eve"))
    strokes = find_strokes(bank)
    assert strokes.active[empty].tolist() == [bank.clips[empty].start, bank.clips[empty].end]
    assert not strokes.takes_part[empty].any()

    assert train(arguments(tmp_path, data)) == 0
    assert json.loads((tmp_path / "run/figures.json").read_text())["wlasl all"]["n"] == 4
