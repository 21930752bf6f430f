from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.recogniser import Recogniser
from app.training.config import OptimConfig, TrainConfig, load_config
from app.training.corpora.boston104.features import TRACK_FEATURES, TRACKS, track_features
from app.training.corpora.boston104.network import TracksConfig, TracksModel
from app.training.corpora.boston104.recogniser import TrackRecogniser
from app.training.corpora.boston104.source import (
    BostonSections,
    BostonSource,
    collate_tracks,
    language_model,
    sign_lengths,
)
from app.training.corpora.boston104.splicing import Sample
from app.training.corpora.opening import open_source
from app.training.evaluation.tables import BEGIN
from app.training.loop.distributed import ALONE, Ranks
from tests.support.boston104_corpus import GLOSSES, TRAIN, write_boston104
from tests.support.commands import evaluate, release, train
from tests.support.language import sentence_log_prob

CPU = torch.device("cpu")
CONFIG = """
name: tiny
model: {model_dim: 24, dropout: 0.0, shared_classifier: false}
loss: {main: 0.5, auxiliary: 0.3, framewise: 2.0}
optim: {steps: 60, batch_size: 4, learning_rate: 0.01, ema: 0.9, save_every: 60, eval_every: 60}
boston104: {decoder: {beam: 4, lm_weight: 0.5}, segments: {gap_bias: 0.0, prior_weight: 0.0}}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_boston104(tmp_path / "boston")


def source(data: Path, held_out: int = -1) -> BostonSource:
    return BostonSource.open(data, TrainConfig(sections={"boston104": {"held_out": held_out}}))


def test_the_trainer_finds_the_corpus_by_its_files(data: Path) -> None:
    found = open_source(data, TrainConfig())
    assert isinstance(found, BostonSource)
    assert found.vocabulary == tuple(sorted(GLOSSES))
    assert found.report()["clips"] == {"train": 7, "dev": 0}
    assert found.epoch_steps(4) == 1
    model = TracksModel(TracksConfig.from_dict({"labels": 4, "model_dim": 8, **found.model}))
    assert found.evaluate(model, ALONE) == {}
    held = source(data, 0).report()
    assert held["clips"]["train"] + held["clips"]["dev"] == 7
    assert held["held_out"] == 0


def test_a_batch_depends_on_seed_and_number_alone_and_ranks_share_it(data: Path) -> None:
    optim = OptimConfig(steps=10, batch_size=6, seed=4)
    whole = source(data).batches(optim, ALONE)
    again = source(data).batches(optim, ALONE)
    _ = again[0]  # what was drawn before does not matter
    torch.testing.assert_close(whole[9].features, again[9].features, rtol=0, atol=0)
    parts = [source(data).batches(optim, Ranks(rank, 2, CPU))[9] for rank in range(2)]
    batch = whole[9]
    for rank, part in enumerate(parts):
        torch.testing.assert_close(part.features, batch.features[rank::2], rtol=0, atol=0)
        assert part.frame_labels is not None
        assert batch.frame_labels is not None
        assert part.frame_labels.tolist() == batch.frame_labels[rank::2].tolist()
        assert part.target_lengths.tolist() == batch.target_lengths[rank::2].tolist()
    other = source(data).batches(OptimConfig(steps=10, batch_size=6, seed=5), ALONE)[9]
    assert other.features.shape != batch.features.shape or not torch.equal(other.features, batch.features)


def test_samples_of_unlike_lengths_lie_side_by_side() -> None:
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.normal(0, 1, (5, 6)).astype(np.float32), np.array([0, 1, 1, 0, 2]), [1, 2]),
        Sample(rng.normal(0, 1, (8, 6)).astype(np.float32), np.array([3] * 8), [3]),
    ]
    batch = collate_tracks(samples, frames=9)
    assert batch.features.shape == (2, 10, TRACK_FEATURES)
    assert batch.lengths.tolist() == [6, 8]
    assert batch.frame_labels is not None
    assert batch.frame_labels.tolist() == [[1, 0, 2, -100, -100], [3, 3, 3, 3, -100]]
    assert batch.targets.tolist() == [[1, 2], [3, 0]]
    made = track_features(samples[0].tracks)
    np.testing.assert_array_equal(batch.features[0, :5], made)
    np.testing.assert_array_equal(batch.features[0, 5:], np.repeat(made[-1:], 5, axis=0))


def test_lengths_and_language_model_count_the_sentences(data: Path) -> None:
    found = source(data)
    lengths = sign_lengths(found.train, found.vocabulary)
    assert np.exp(lengths.mean[1:]) == pytest.approx([4.0] * 4)  # 8 frames
    lm = language_model(found.train, found.vocabulary, 3)
    label = {g: i for i, g in enumerate(found.vocabulary, 1)}
    said, unsaid = ([label[g] for g in text.split()] for text in (TRAIN[0], "HOUSE HOUSE CAR"))
    assert sentence_log_prob(lm, said) > sentence_log_prob(lm, unsaid)


@pytest.mark.slow
def test_from_training_to_a_released_checkpoint_that_reads_the_test_sentences(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)

    def run(name: str, seed: int, held_out: int) -> Path:
        out = tmp_path / "runs" / name
        settings = [f"optim.seed={seed}", f"boston104.held_out={held_out}"]
        arguments = ["--config", config, "--data", data, "--out", out, "--workers", 0, "--device", "cpu", "--set"]
        assert train([*map(str, arguments), *settings]) == 0
        return out

    first, second, held = run("s1", 1, -1), run("s2", 2, -1), run("h", 1, 0)
    log = [json.loads(line) for line in (held / "log.jsonl").read_text().splitlines()]
    assert 0 <= log[-1]["wer"] <= 1
    assert "greedy_wer" in log[-1]
    assert not any("wer" in json.loads(line) for line in (first / "log.jsonl").read_text().splitlines())

    out = tmp_path / "checkpoints" / "tiny"
    more = ["--held-out", held, "--config", config, "--data", data, "--out", out]
    # A run that held something out is not released, and one that did not says nothing about unseen sentences.
    for wrong in (["--runs", first, held, *more], ["--runs", first, "--held-out", second, *more[2:]]):
        assert release([str(a) for a in wrong]) == 2
        assert "held_out" in capsys.readouterr().err
    assert not out.exists()
    assert release([str(a) for a in ["--runs", first, second, *more]]) == 0
    card = (out / "MODEL_CARD.md").read_text()
    assert "--out runs/s2" in card
    assert "makes no captions" in card
    assert str(tmp_path) not in card
    capsys.readouterr()

    reader = TrackRecogniser.load(out)
    assert reader.config.members == 2
    assert reader.config.keypoints == TRACKS
    command = ["--checkpoint", str(out), "--data", str(data), "--split", "test", "--json"]
    assert evaluate([*command, "--model-card", "--out", str(tmp_path / "report")]) == 0
    figures = json.loads(capsys.readouterr().out)
    ways = figures["ways"]
    assert set(ways) == {"greedy", "prefix beam", "prefix beam + LM", "signs with lengths", "signs with lengths + LM"}
    best = ways["signs with lengths + LM"]
    assert best["all"]["signs"] == 6
    assert (best["wording of a training sentence"]["sentences"], best["new wording"]["sentences"]) == (1, 1)
    assert best["all"]["wer"] <= 0.34  # 60 steps are enough for four places of a hand
    assert set(figures["tables"]["by_signer"]) == {"woman-1", "woman-2"}
    assert BEGIN in (out / "MODEL_CARD.md").read_text()
    assert json.loads((tmp_path / "report" / "evaluation.json").read_text()) == figures
    assert "<svg" in (tmp_path / "report" / "reliability.svg").read_text()

    # The service refuses it with the reason; so do commands that ask for what tracks cannot give.
    with pytest.raises(CheckpointError, match="which no camera provides"):
        Recogniser.load(out)
    for more, says in ((["--full"], "omit --full"), (["--split", "dev"], "splits train and test")):
        assert evaluate([*command, *more]) == 2
        assert says in capsys.readouterr().err
    (out / "gloss_lm.json").unlink()
    with pytest.raises(CheckpointError, match="release it again"):
        TrackRecogniser.load(out)


def test_the_shipped_config_is_accepted() -> None:
    config = load_config(Path(__file__).parents[4] / "configs" / "boston104.yaml")
    assert config.own(BostonSections).boston104.held_out < 0
    assert config.loss.framewise > 0
