from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from app.pipeline.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    DecoderConfig,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.recogniser import GlossSegment, Recogniser, hand_near, merged, window_starts
from app.pipeline.streaming import CaptionStream, FrameGrid, StreamConfig
from tests.support.recognisers import performance

VOCABULARY = ("HELLO", "NAME", "YOU")


def tiny_checkpoint(folder: Path, **decoder: float) -> Path:
    """An untrained network that says a lot: what it says does not matter, only that it is the same everywhere."""
    torch.manual_seed(4)
    model_config = ModelConfig(labels=3, body_dim=8, hand_dim=8, model_dim=16, cosine_scale=60.0)
    config = CheckpointConfig("tiny", "ase", VOCABULARY, model_config, decoder=DecoderConfig(**decoder))  # type: ignore[arg-type]
    save_checkpoint(folder, config, SignModel(model_config))
    return folder


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser.load(tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny"))


def varied(frames: int, seed: int = 0) -> Keypoints:
    pieces = [performance(25, seed * 100 + i) for i in range(-(-frames // 25))]
    return Keypoints.at_rate(np.concatenate(pieces)[:frames], 25)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    config, model = load_checkpoint(folder)
    assert config.vocabulary == VOCABULARY
    assert CheckpointConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert not model.training
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_missing_checkpoint_names_the_ones_there_are(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="available there: tiny"):
        read_config(tmp_path / "nope")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 99"),
        ({"keypoints": "openpose-25"}, "keypoints 'openpose-25'"),
        ({"vocabulary": ["HELLO"]}, "1 glosses"),
        ({"vocabulary": ["HELLO", "HELLO", "YOU"]}, "stands twice"),
        ({"model": {"labels": 3, "wings": 2}}, "wings"),
        ({"temperature": "warm"}, "damaged"),
    ],
)
def test_a_damaged_config_is_refused_with_the_reason(tmp_path: Path, change: dict, says: str) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=says):
        read_config(folder)


def test_weights_that_do_not_fit_or_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    values = json.loads((folder / "config.json").read_text())
    values["model"]["model_dim"] = 32
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(folder)
    (folder / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="cannot read the weights"):
        load_checkpoint(folder)


def test_a_batch_gives_the_same_answers_as_one_by_one(recogniser: Recogniser) -> None:
    clips = [varied(n, n) for n in (10, 64, 33, 100)]
    together = recogniser.recognise_batch(clips)
    for clip, result in zip(clips, together, strict=True):
        alone = recogniser.recognise(clip)
        assert alone.gloss == result.gloss
        assert alone.frame_count == len(clip)
        np.testing.assert_allclose(
            [s.confidence for s in alone.segments], [s.confidence for s in result.segments], atol=1e-4
        )


def test_segments_are_in_order_inside_the_clip_and_confidence_is_a_probability(recogniser: Recogniser) -> None:
    clip = varied(120)
    result = recogniser.recognise(clip)
    assert result.segments, "the made-up clip should make the tiny network say something"
    for a, b in itertools.pairwise(result.segments):
        assert a.end_s <= b.start_s + 1e-9
    for s in result.segments:
        assert 0 <= s.start_s < s.end_s <= clip.duration_s + 0.16
        assert 0 <= s.confidence <= 1
    assert result.sentence[-1] in ".?!"
    assert result.attention == {"rgb": 0.0, "pose": 1.0}


def test_an_empty_clip_says_nothing(recogniser: Recogniser) -> None:
    result = recogniser.recognise(Keypoints.at_rate(np.zeros((0, 75, 3), np.float32), 25))
    assert (result.gloss, result.sentence, result.confidence) == ([], "", 0.0)


def test_signs_under_the_threshold_are_not_said(tmp_path: Path) -> None:
    sure = Recogniser.load(tiny_checkpoint(tmp_path / "tiny", min_confidence=1.01))
    assert sure.recognise(varied(120)).gloss == []


def test_a_blank_bias_makes_it_say_more_never_less(tmp_path: Path) -> None:
    said = [
        len(
            Recogniser.load(tiny_checkpoint(tmp_path / str(bias), blank_bias=bias, beam=1)).recognise(varied(120)).gloss
        )
        for bias in (-50.0, 50.0)
    ]
    assert said[0] == 0
    assert said[1] > 0


def test_without_a_hand_in_sight_nothing_is_said(recogniser: Recogniser) -> None:
    clip = varied(120)
    assert recogniser.recognise(clip).gloss
    hidden = clip.points.copy()
    hidden[:, 33:] = 0
    assert recogniser.recognise(Keypoints.at_rate(hidden, 25)).gloss == []
    assert recogniser.recognise(Keypoints.at_rate(np.zeros((100, 75, 3), np.float32), 25)).gloss == []


def test_a_hand_lost_for_a_moment_does_not_cut_a_sign() -> None:
    points = performance(40)
    points[16:24, 33:] = 0
    assert hand_near(normalise(points, 4 / 3)).all()
    points[4:36, 33:] = 0
    near = hand_near(normalise(points, 4 / 3))
    assert near.tolist() == [True, True, True, False, False, False, False, True, True, True]


@given(frames=st.integers(0, 900), window=st.sampled_from([64, 128]), half=st.booleans())
def test_windows_cover_the_clip_without_gaps_or_idle_ones(frames: int, window: int, half: bool) -> None:
    stride = window // 2 if half else window
    starts = window_starts(frames, window, stride)
    covered = {t for s in starts for t in range(s, min(s + window, frames))}
    assert covered == set(range(frames))
    assert all(s < frames for s in starts)
    if len(starts) > 1:
        assert starts[-2] + window < frames


def test_long_clips_are_read_in_windows(tmp_path: Path) -> None:
    short = Recogniser.load(tiny_checkpoint(tmp_path / "tiny", window=64, stride=32))
    lattice, _ = short.lattices([np.random.default_rng(0).standard_normal((300, 319), dtype=np.float32)])[0]
    assert lattice.shape == (75, 4)
    np.testing.assert_allclose(np.exp(lattice).sum(axis=1), 1, atol=1e-4)


def test_the_frame_grid_is_resample_one_frame_at_a_time() -> None:
    from app.pipeline.module1_preprocessing.resample import nearest_frames, resample

    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.15, 60))
    clip = Keypoints(performance(60), times)
    grid = FrameGrid()
    numbers = np.arange(60, dtype=np.float32)[:, None]  # as if pictures were numbered
    pieces = [grid.push(p[None], [t], n[None]) for p, t, n in zip(clip.points, clip.times, numbers, strict=True)]
    live, seen = (np.concatenate(part) for part in zip(*pieces, strict=True))
    np.testing.assert_allclose(live, resample(clip), atol=1e-5)
    np.testing.assert_array_equal(seen[:, 0], nearest_frames(clip.times))


def test_streaming_a_clip_of_one_window_gives_exactly_the_offline_answer(recogniser: Recogniser) -> None:
    clip = varied(64, 7)
    stream = CaptionStream(recogniser, StreamConfig(window=64, stride=64, endpoint_s=60), clip.aspect)
    for points, time_s in zip(clip.points, clip.times, strict=True):
        stream.push(points, float(time_s))
    assert stream.finish().final == recogniser.recognise(clip).segments


@pytest.mark.parametrize("frames", [3, 30, 63, 64, 65, 97, 200])
def test_a_stream_settles_and_never_takes_back_a_final_sign(recogniser: Recogniser, frames: int) -> None:
    clip = varied(frames, frames)
    stream = CaptionStream(recogniser, StreamConfig(endpoint_s=60), clip.aspect)
    settled: list[str] = []
    for points, time_s in zip(clip.points, clip.times, strict=True):
        update = stream.push(points, float(time_s))
        if update:
            final = [s.gloss for s in update.final]
            assert final[: len(settled)] == settled
            settled = final
    done = stream.finish()
    assert done.ended
    assert not done.partial
    assert [s.gloss for s in done.final][: len(settled)] == settled


def test_a_stream_tells_how_much_the_pictures_weighed_as_the_whole_clip_does(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_frames = recogniser.model.encode_frames

    def with_gates(features: Tensor, *more: Tensor | None) -> tuple[Tensor, Tensor]:
        """As if the pictures weighed more or less from frame to frame."""
        share = torch.sigmoid(features[..., :1])
        return encode_frames(features, *more)[0], torch.cat([share, 1 - share], dim=-1)

    monkeypatch.setattr(recogniser.model, "encode_frames", with_gates)
    clip = varied(100)
    settings = recogniser.settings.decoder
    stream = CaptionStream(recogniser, StreamConfig(settings.window, settings.stride, endpoint_s=60), clip.aspect)
    updates = [u for frame, t in zip(clip.points, clip.times, strict=True) if (u := stream.push(frame, float(t)))]
    assert updates
    assert all(0 < update.rgb < 1 for update in updates)
    assert stream.finish().rgb == pytest.approx(recogniser.recognise(clip).attention["rgb"], abs=1e-6)
    assert stream.finish().rgb == 0.0  # a sentence of which nothing was read


def test_a_stream_keeps_only_what_it_still_needs(recogniser: Recogniser) -> None:
    stream = CaptionStream(recogniser, StreamConfig(endpoint_s=1e9))
    points = performance(25)
    for i in range(400):
        stream.push(points[i % 25], i / 25)
    assert stream.frames_kept <= 128 + 56


def test_time_that_goes_back_is_refused_and_leaves_the_stream_usable(recogniser: Recogniser) -> None:
    stream = CaptionStream(recogniser)
    points = performance(2)
    stream.push(points[0], 1.0)
    with pytest.raises(ValueError, match="capture times must grow"):
        stream.push(points[1], 0.5)
    stream.push(points[1], 1.04)


@pytest.mark.parametrize(("window", "stride"), [(64, 4), (64, 128), (62, 32), (64, 30)])
def test_impossible_windows_are_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        StreamConfig(window=window, stride=stride)


def test_a_movement_that_repeats_is_one_sign() -> None:
    def sign(gloss: str, start_s: float, confidence: float = 0.5) -> GlossSegment:
        return GlossSegment(gloss, start_s, start_s + 0.2, confidence)

    twice = [sign("THANK-YOU", 0.0), sign("THANK-YOU", 1.0, 0.9), sign("YOU", 1.5), sign("YOU", 4.0)]
    assert merged(twice, 0.0) == tuple(twice)
    assert merged(twice, 0.8) == tuple(twice)
    once = merged(twice, 0.9)
    assert [s.gloss for s in once] == ["THANK-YOU", "YOU", "YOU"]
    assert (once[0].start_s, once[0].end_s, once[0].confidence) == (0.0, 1.2, 0.9)
    assert merged([sign("A", 0.0), sign("A", 0.5), sign("A", 1.0)], 0.5) == (GlossSegment("A", 0.0, 1.2, 0.5),)
    assert merged([sign("A", 0.0), sign("B", 0.3), sign("A", 0.6)], 2.0) == merged(
        [sign("A", 0.0), sign("B", 0.3), sign("A", 0.6)], 0.0
    )


@given(st.lists(st.tuples(st.sampled_from("AB"), st.floats(0, 3)), max_size=12), st.floats(0, 2))
def test_joining_repeats_never_changes_what_came_before(steps: list[tuple[str, float]], gap_s: float) -> None:
    segments, at = [], 0.0
    for gloss, pause in steps:
        segments.append(GlossSegment(gloss, at + pause, at + pause + 0.2, 0.5))
        at += pause + 0.2
    whole = [s.gloss for s in merged(segments, gap_s)]
    for count in range(len(segments)):
        part = [s.gloss for s in merged(segments[:count], gap_s)]
        assert whole[: len(part)] == part
