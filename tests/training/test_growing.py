"""A run that starts from a network with other glosses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig, load_checkpoint, save_checkpoint
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.training.config import load_config
from app.training.corpora.manifest.source import ManifestSource
from app.training.errors import ConfigError
from app.training.growing import grown, start_of
from app.training.run_folder import REFUSED
from app.training.train import TrainRun, train
from tests.support.recognisers import performance

KNOWN = ("HELLO", "YES")
SMALL = {"body_dim": 8, "hand_dim": 8, "model_dim": 16, "layers": 1, "dropout": 0.0}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Knows two signs."""
    torch.manual_seed(3)
    model = SignModel(ModelConfig(labels=2, **SMALL))
    config = CheckpointConfig("known", "ase", KNOWN, model.config, temperature=1.5, decoder=DecoderConfig(blank_bias=2))
    save_checkpoint(tmp_path / "known", config, model)
    return tmp_path / "known"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two new signs, by two people, and one that is known."""
    lines = ["file,glosses,signer,split,sign_language"]
    for signer, split in (("signer-a", "train"), ("signer-b", "dev")):
        for number, gloss in enumerate(("AUNT", "ZOO", "YES")):
            for take in range(3):
                points = performance(40, number)
                points[..., :2] += np.random.default_rng(take).normal(0, 0.003, points[..., :2].shape)
                name = f"{signer}-{gloss}-{take}.npz"
                save_npz(tmp_path / name, Keypoints.at_rate(points, 25))
                lines.append(f"{name},{gloss},{signer},{split},ase")
    (tmp_path / "clips.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_known_rows_stay_and_new_ones_begin_at_their_recordings(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "grow.yaml"
    config.write_text("rehearse: 2\n")
    start = start_of(checkpoint)
    source = ManifestSource.open(corpus, load_config(config), start.vocabulary)
    assert source.vocabulary == ("HELLO", "YES", "AUNT", "ZOO")
    assert [clip.entry.glosses for clip in source.rehearsed] == [("HELLO",), ("HELLO",), ("YES",), ("YES",)]
    assert source.epoch_steps(1) == len(source.train) + 4
    new = source.recordings(("AUNT", "ZOO"))
    assert [len(clips) for clips in new.values()] == [3, 3]
    model = grown(start.model, start.vocabulary, source.vocabulary, new)
    before, after = start.model.classifier.weight, model.classifier.weight
    assert torch.equal(before, after[:3])
    features = torch.from_numpy(new["AUNT"][0][None])
    with torch.inference_mode():
        logits = model(features, torch.tensor([40])).logits
        assert torch.allclose(logits[..., :3], start.model(features, torch.tensor([40])).logits)
        heard = logits[0, :, 3:].mean(dim=0)
    assert heard[0] > heard[1]  # it looks more like AUNT than like ZOO
    with pytest.raises(ConfigError, match="keeps its glosses"):
        grown(start.model, KNOWN, ("YES", "HELLO", "AUNT"), {})


def test_a_run_adds_glosses_to_a_checkpoint_and_leaves_frozen_parts_alone(
    checkpoint: Path, corpus: Path, tmp_path: Path
) -> None:
    config = tmp_path / "grow.yaml"
    config.write_text("frozen: [pose, convolution]\nbefore_weight: 2.0\nrehearse: 1\n")
    changes = ("optim.epochs=0", "optim.steps=6", "optim.batch_size=4", "optim.ema=0")
    run = TrainRun(config, corpus, tmp_path / "run", changes, "cpu", 1, 0, init=checkpoint)
    assert train(run) == 0
    made, model = load_checkpoint(tmp_path / "run" / "final")
    assert made.vocabulary == ("HELLO", "YES", "AUNT", "ZOO")
    assert (made.temperature, made.decoder.blank_bias) == (1.5, 2)  # it is read as before
    _, old = load_checkpoint(checkpoint)
    changed = {
        name.partition(".")[0]
        for name, weights in model.state_dict().items()
        if name not in old.state_dict() or not torch.equal(weights, old.state_dict()[name])
    }
    assert changed == {"sequence", "classifier"}
    again = TrainRun(config, corpus, tmp_path / "more", changes, "cpu", 1, 0, init=tmp_path / "run")
    assert train(again) == 0  # a finished run is a start as well
    assert load_checkpoint(tmp_path / "more" / "final")[0].vocabulary == made.vocabulary


@pytest.mark.parametrize(("text", "init"), [("frozen: [hands]\n", "known"), ("", "nothing")])
def test_what_cannot_be_is_refused(
    checkpoint: Path, corpus: Path, tmp_path: Path, text: str, init: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "grow.yaml"
    config.write_text(text)
    run = TrainRun(config, corpus, tmp_path / "run", ("optim.steps=1",), "cpu", 1, 0, init=tmp_path / init)
    assert train(run) == REFUSED
    said = capsys.readouterr().err
    assert ("frozen: there is no part 'hands'" if text else "neither a finished run nor a checkpoint") in said
