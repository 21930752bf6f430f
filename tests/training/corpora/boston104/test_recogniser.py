from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    DecoderConfig,
    load_checkpoint,
    load_network,
    read_config,
    save_checkpoint,
)
from app.pipeline.module1_preprocessing.tracks import TRACK_FEATURES, TRACKS, nose_relative, track_features
from app.pipeline.module3_sequence.ensemble import SignEnsemble
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.module3_sequence.segmental import SegmentConfig, SignLengths
from app.pipeline.tracks import TrackRecogniser, track_lattices

MAKE = ModelConfig(2, "tracks", model_dim=8, features=TRACK_FEATURES, time_divisor=2, dropout=0.0)
WORDS = ("A", "B")


def walk(frames: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 5, (frames, 3, 2))
    start = np.array([[150, 150], [200, 150], [170, 60]])
    return np.asarray(start + np.cumsum(steps, axis=0), np.float32)


def recogniser(members: int = 2) -> TrackRecogniser:
    torch.manual_seed(1)
    settings = CheckpointConfig("tracks", "ase", WORDS, MAKE, decoder=DecoderConfig(lm_weight=1.0), members=members)
    lengths = SignLengths(np.log([0.5, 0.3, 0.2]), np.log([1.0, 4.0, 4.0]), 0.3)
    lm = NgramModel.fit([[1, 2]], WORDS, 2)
    return TrackRecogniser(settings, SignEnsemble.of(MAKE, members).eval(), SegmentConfig(), lengths, lm)


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
    model = SignModel(MAKE).eval()
    features = torch.from_numpy(track_features(nose_relative(walk(14))))
    alone = model(features[None], torch.tensor([14]))
    assert alone.logits.shape == (1, 7, 3)
    padded = torch.cat([features, torch.full((8, TRACK_FEATURES), 9.0)])
    beside = model(torch.stack([padded, torch.zeros_like(padded)]), torch.tensor([14, 22]))
    torch.testing.assert_close(beside.logits[0, :7], alone.logits[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="2 or 4"):
        SignModel(replace(MAKE, time_divisor=3))
    with pytest.raises(ValueError, match="4 frames, not 2"):
        SignModel(ModelConfig(2, time_divisor=2))


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    reader = recogniser(3)
    clip = nose_relative(walk(9))
    (table,) = reader.lattices([clip])
    assert table.shape == (5, 3)  # an odd frame more is a step more
    each = [track_lattices(m, [clip], 2)[0] for m in reader.model.members if isinstance(m, SignModel)]
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
    assert read_config(tmp_path / "tracks").keypoints == TRACKS
    with pytest.raises(CheckpointError, match=r"can be evaluated .*Set CHECKPOINT to one that reads mediapipe"):
        load_checkpoint(tmp_path / "tracks")
    if members == 1:
        assert load_network(tmp_path / "tracks")[0] == reader.settings
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
        ({"keypoints": TRACKS}, "normaliser"),
        ({"keypoints": TRACKS, "normaliser": "nose-relative-50px/1", "fps": 30.0}, "encoder 'groups'"),
        ({"members": 0}, "0 networks"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    make = ModelConfig(2, model_dim=8, body_dim=4, hand_dim=4)
    save_checkpoint(tmp_path / "x", CheckpointConfig("x", "ase", WORDS, make), SignModel(make))
    values = json.loads((tmp_path / "x" / "config.json").read_text())
    assert "members" not in values  # older versions can still read a checkpoint of one network
    (tmp_path / "x" / "config.json").write_text(json.dumps(values | changes))
    with pytest.raises(CheckpointError, match=says):
        read_config(tmp_path / "x")


def test_landmarks_are_not_taken_for_tracks(tmp_path: Path) -> None:
    make = ModelConfig(2, model_dim=8, body_dim=4, hand_dim=4)
    save_checkpoint(tmp_path / "x", CheckpointConfig("x", "ase", WORDS, make), SignModel(make))
    assert load_checkpoint(tmp_path / "x")[0].model == make
    with pytest.raises(CheckpointError, match="not boston104-tracks-3"):
        TrackRecogniser.load(tmp_path / "x")
