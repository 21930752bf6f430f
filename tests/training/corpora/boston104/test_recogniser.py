from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    DecoderConfig,
    load_checkpoint,
    save_checkpoint,
)
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.module3_sequence.ngram import NgramModel
from app.training.corpora.boston104.checkpoint import TracksCheckpoint, load_network
from app.training.corpora.boston104.features import TRACK_FEATURES, TRACKS, nose_relative, track_features
from app.training.corpora.boston104.network import SignEnsemble, TracksConfig, TracksModel
from app.training.corpora.boston104.recogniser import TrackRecogniser, track_lattices
from app.training.corpora.boston104.segmental import SegmentConfig, SignLengths
from app.training.corpora.checkpoints import load_any, read_any_config

MAKE = TracksConfig(2, model_dim=8, dropout=0.0)
WORDS = ("A", "B")


def walk(frames: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 5, (frames, 3, 2))
    start = np.array([[150, 150], [200, 150], [170, 60]])
    return np.asarray(start + np.cumsum(steps, axis=0), np.float32)


def recogniser(members: int = 2) -> TrackRecogniser:
    torch.manual_seed(1)
    config = TracksCheckpoint("tracks", "ase", WORDS, MAKE, decoder=DecoderConfig(lm_weight=1.0), members=members)
    lengths = SignLengths(np.log([0.5, 0.3, 0.2]), np.log([1.0, 4.0, 4.0]), 0.3)
    lm = NgramModel.fit([[1, 2]], WORDS, 2)
    return TrackRecogniser(config, SignEnsemble.of(MAKE, members).eval(), SegmentConfig(), lengths, lm)


def test_features_do_not_change_with_the_place_of_the_person() -> None:
    points = walk(20)
    here, there = (track_features(nose_relative(p)) for p in (points, points + np.array([30, -20], np.float32)))
    assert here.shape == (20, TRACK_FEATURES)
    np.testing.assert_allclose(here, there, atol=1e-4)
    np.testing.assert_allclose(here[:, :2], (points[:, 0] - points[:, 2]) / 50, atol=1e-6)
    # Speed over two frames, in the middle; the nose's own movement, about its median.
    relative = nose_relative(points)
    np.testing.assert_allclose(here[10, 12:16], 4 * (relative[11, :4] - relative[9, :4]), atol=1e-5)
    np.testing.assert_allclose(np.median(relative[:, 4:], axis=0), 0, atol=1e-6)
    assert np.isfinite(track_features(nose_relative(walk(1)))).all()


@pytest.mark.parametrize(
    "points", [np.zeros((0, 3, 2), np.float32), np.zeros((4, 2, 2), np.float32), np.full((4, 3, 2), np.nan, np.float32)]
)
def test_what_is_no_track_is_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="tracks"):
        nose_relative(points)


def test_half_the_frame_rate_and_padding_that_does_not_matter() -> None:
    model = TracksModel(MAKE).eval()
    features = torch.from_numpy(track_features(nose_relative(walk(14))))
    alone = model(features[None], torch.tensor([14]))
    assert alone.logits.shape == (1, 7, 3)
    padded = torch.cat([features, torch.full((8, TRACK_FEATURES), 9.0)])
    beside = model(torch.stack([padded, torch.zeros_like(padded)]), torch.tensor([14, 22]))
    torch.testing.assert_close(beside.logits[0, :7], alone.logits[0], atol=1e-5, rtol=1e-4)
    assert TracksConfig.from_dict(MAKE.to_dict()) == MAKE
    for change in ({"time_divisor": 4}, {"pose_encoder": "groups"}, {"features": 36}):
        with pytest.raises(ValueError, match=f"has {next(iter(change))}"):
            TracksConfig.from_dict(MAKE.to_dict() | change)
    with pytest.raises(TypeError, match="time_divisor"):
        ModelConfig.from_dict({"labels": 2, "time_divisor": 2})
    assert ModelConfig.from_dict({"labels": 2, "time_divisor": 4}) == ModelConfig(2)  # as older checkpoints say


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    reader = recogniser(3)
    clip = nose_relative(walk(9))
    (table,) = reader.lattices([clip])
    assert table.shape == (5, 3)  # an odd frame more is a step more
    each = [track_lattices(m, [clip])[0] for m in reader.model.members if isinstance(m, SignModel)]
    mean = np.mean(each, axis=0)
    np.testing.assert_allclose(table, mean - np.logaddexp.reduce(mean, axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(ValueError, match="at least one"):
        SignEnsemble([])


@pytest.mark.parametrize("members", [1, 2])
def test_a_checkpoint_of_tracks_comes_back_and_is_not_served(tmp_path: Path, members: int) -> None:
    reader = recogniser(members)
    reader.save(tmp_path / "tracks")
    again = TrackRecogniser.load(tmp_path / "tracks")
    clip = nose_relative(walk(30))
    np.testing.assert_allclose(
        again.lattices([clip])[0], reader.lattices([clip])[0], atol=0.02
    )  # half precision on disk
    for method in ("greedy", "beam", "segments"):
        for with_lm in (True, False):
            table = again.lattices([clip])[0]
            assert again.read(table, method, with_lm).labels == reader.read(table, method, with_lm).labels
    assert read_any_config(tmp_path / "tracks").keypoints == TRACKS
    with pytest.raises(CheckpointError, match=r"can be evaluated .*Set CHECKPOINT to one that reads mediapipe"):
        load_checkpoint(tmp_path / "tracks")
    if members == 1:
        assert load_any(tmp_path / "tracks")[0] == reader.config
    else:
        with pytest.raises(CheckpointError, match="averages 2 networks"):
            load_network(tmp_path / "tracks")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("gloss_lm.json", None, "incomplete"),
        ("sign_lengths.json", "{}", "lengths of signs"),
        ("segments.json", '{"wings": 2}', "wings"),
        ("gloss_lm.json", "[]", "glossline-ngram"),
    ],
)
def test_an_incomplete_checkpoint_of_tracks_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    recogniser().save(tmp_path / "tracks")
    if text is None:
        (tmp_path / "tracks" / name).unlink()
    else:
        (tmp_path / "tracks" / name).write_text(text)
    with pytest.raises(CheckpointError, match=says):
        TrackRecogniser.load(tmp_path / "tracks")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"normaliser": "shoulder-median-50/1"}, "normaliser"),
        ({"model": {"labels": 2, "pose_encoder": "groups"}}, "has pose_encoder 'tracks', not 'groups'"),
        ({"members": 0}, "0 networks"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    recogniser(1).save(tmp_path / "x")
    values = json.loads((tmp_path / "x" / "config.json").read_text())
    assert "members" not in values  # older versions can still read a checkpoint of one network
    (tmp_path / "x" / "config.json").write_text(json.dumps(values | changes))
    with pytest.raises(CheckpointError, match=says):
        read_any_config(tmp_path / "x")


def test_landmarks_are_not_taken_for_tracks(tmp_path: Path) -> None:
    make = ModelConfig(2, model_dim=8, body_dim=4, hand_dim=4)
    save_checkpoint(tmp_path / "x", CheckpointConfig("x", "ase", WORDS, make), SignModel(make))
    assert load_any(tmp_path / "x")[0].model == load_checkpoint(tmp_path / "x")[0].model == make
    with pytest.raises(CheckpointError, match="not boston104-tracks-3"):
        TrackRecogniser.load(tmp_path / "x")
