"""An expert beside a network, and its confidence calibrated, on a made-up corpus of six glosses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.pipeline.checkpoint import CheckpointConfig, load_checkpoint, read_config, save_checkpoint
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.pack import pack
from app.training.corpora.glosses.release import FEWEST_SIGNERS
from tests.support.commands import glosses
from tests.support.glosses_corpus import GLOSSES, small_bank
from tests.support.recognisers import varied


def checkpoint(folder: Path, known: tuple[str, ...] = GLOSSES, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = ModelConfig(labels=len(known), body_dim=8, hand_dim=8, model_dim=16, cosine_scale=60.0)
    save_checkpoint(folder, CheckpointConfig(folder.name, "ase", known, network), SignModel(network))
    return folder


def test_a_joined_checkpoint_has_both_networks_and_the_lists_of_the_large_one(tmp_path: Path) -> None:
    large, small = checkpoint(tmp_path / "large"), checkpoint(tmp_path / "small", ("E", "B"), 1)
    (large / "vocabularies").mkdir()
    (large / "vocabularies" / "few.txt").write_text("B\nE\n")
    command = ["join", "--checkpoint", large, "--weight", 0.5]
    assert glosses([*command, "--expert", small, "--out", tmp_path / "both"]) == 0
    config = read_config(tmp_path / "both")
    assert config.model_id == "large"
    assert config.model.expert is not None
    assert (config.model.expert.columns, config.model.expert.weight) == ((5, 2), 0.5)
    assert config.provenance["expert"]["model_id"] == "small"
    both = Recogniser.load(tmp_path / "both")
    assert both.vocabularies["few"] == ("B", "E")
    parts = {"": Recogniser.load(large).model, "expert.model.": Recogniser.load(small).model}
    for prefix, model in parts.items():
        for name, value in model.state_dict().items():
            kept = both.model.state_dict()[prefix + name]
            torch.testing.assert_close(kept, value, atol=1e-3, rtol=1e-3, msg=prefix + name)  # kept in halves
    both.recognise(varied(80))


def test_an_expert_of_other_glosses_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large, small = checkpoint(tmp_path / "large"), checkpoint(tmp_path / "small", ("E", "X"), 1)
    assert glosses(["join", "--checkpoint", large, "--expert", small, "--out", tmp_path / "both"]) == 2
    assert "does not know X" in capsys.readouterr().err
    assert not (tmp_path / "both").exists()


def test_calibration_writes_temperatures_and_dev_figures_and_nothing_else_of_the_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = small_bank()
    people = [f"dev {n}" for n in range(FEWEST_SIGNERS)]  # each signs all glosses once; clips are shared
    dev = [clip for clip in bank.clips if clip.split == "dev"][::3]
    clips = [c for c in bank.clips if c.split == "train"] + [replace(c, signer=p) for p in people for c in dev]
    pack(replace(bank, clips=tuple(clips)), tmp_path / "bank.xz")
    folder = checkpoint(tmp_path / "large")
    (folder / "vocabularies").mkdir()
    (folder / "vocabularies" / "everyday.txt").write_text("A\nB\nC\n")
    before = read_config(folder)
    assert glosses(["calibrate", "--data", tmp_path / "bank.xz", "--checkpoint", folder, "--device", "cpu"]) == 0
    assert "everyday: temperature" in capsys.readouterr().out
    after = read_config(folder)
    assert replace(after, vocabularies={}, temperature=before.temperature) == before
    assert after.vocabularies.keys() == {"all", "everyday"}
    assert after.temperature == after.vocabularies["everyday"]["temperature"] != 1.0
    figures = after.vocabularies["everyday"]["dev"]
    assert figures["dev_readings_wlasl"] == 3 * FEWEST_SIGNERS
    assert all(0 <= value <= 1 for key, value in figures.items() if "readings" not in key)
    assert {"dev_exact_wlasl", "dev_ece_other_half"} < figures.keys()
    table = json.loads((folder / "glosses.json").read_text())
    assert tuple(table) == GLOSSES
    assert (table["A"]["signers"], table["A"]["clips"], table["A"]["dev_signers"]) == (1, 3, FEWEST_SIGNERS)
    assert "dev_recall_everyday" in table["A"]
    assert "dev_recall_everyday" not in table["F"]


def test_of_few_signers_a_vocabulary_takes_the_temperature_of_a_larger_one(tmp_path: Path) -> None:
    pack(small_bank(), tmp_path / "bank.xz")
    folder = checkpoint(tmp_path / "large")
    (folder / "vocabularies").mkdir()
    (folder / "vocabularies" / "few.txt").write_text("A\nB\nD\nE\n")
    assert glosses(["calibrate", "--data", tmp_path / "bank.xz", "--checkpoint", folder, "--device", "cpu"]) == 0
    vocabularies = read_config(folder).vocabularies
    assert vocabularies["few"]["temperature"] == vocabularies["all"]["temperature"]
    assert "dev_ece_other_half" not in vocabularies["few"]["dev"]


def test_a_network_that_reads_nothing_cannot_be_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(small_bank(), tmp_path / "bank.xz")
    folder = checkpoint(tmp_path / "large")
    config, model = load_checkpoint(folder)
    save_checkpoint(folder, replace(config, decoder=replace(config.decoder, blank_bias=-500.0)), model)
    assert glosses(["calibrate", "--data", tmp_path / "bank.xz", "--checkpoint", folder, "--device", "cpu"]) == 2
    assert "no sign of the dev signers was read" in capsys.readouterr().err
