from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.pipeline.image_reader import ImageReader
from app.pipeline.keypoints import InvalidKeypoints, Keypoints
from app.pipeline.module1_preprocessing.crops import Cropper, to_channels_first
from app.pipeline.module1_preprocessing.movement import hand_movement
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module1_preprocessing.resample import nearest_frames
from app.pipeline.module3_sequence.steps import BLANK
from app.pipeline.recogniser import Recogniser, padded_frames
from app.pipeline.stages import IMAGES, Stopwatch
from app.pipeline.streaming import CaptionStream, StreamConfig
from tests.support.image_recognisers import film, image_checkpoint, image_recogniser
from tests.support.recognisers import performance
from tests.support.streams import push


@pytest.fixture(scope="module", params=[False, True], ids=["body", "hands"])
def recogniser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return image_recogniser(tmp_path_factory.mktemp("rgb") / "rgb", hands=request.param)


def looked_at(recogniser: Recogniser, frames: int, seed: int = 0, fps: float = 25.0) -> Keypoints:
    """A clip whose pictures the recogniser has looked at, one after the other."""
    clip = Keypoints.at_rate(performance(frames, seed), fps)
    reader = ImageReader.of(recogniser)
    assert reader is not None
    rows = [reader.push(rgb, points) for rgb, points in zip(film(frames, seed), clip.points, strict=True)]
    return replace(clip, rgb_features=np.stack(rows))


def test_frame_by_frame_is_what_the_trainer_sees_in_one_piece(recogniser: Recogniser) -> None:
    """The network's own forward pass over pictures and landmarks is the reference."""
    clip = looked_at(recogniser, 37, fps=30)
    rgb = recogniser.config.model.rgb
    assert rgb is not None
    cropper = Cropper(rgb.size, rgb.hands)
    crops = np.stack([cropper.push(p, at) for p, at in zip(film(37), clip.points, strict=True)])
    features = recogniser.features(clip)
    batch, lengths = padded_frames([features[:, :NUM_FEATURES]])
    images = torch.zeros(1, lengths[0], *to_channels_first(crops).shape[1:], dtype=torch.uint8)
    images[0, : len(features)] = torch.from_numpy(to_channels_first(crops)[nearest_frames(clip.times)])
    images[0, len(features) :] = images[0, len(features) - 1]
    with torch.no_grad():
        lattice = recogniser.model(torch.from_numpy(batch), torch.tensor(lengths), images)
    read = recogniser.log_probs([features])[0]
    table, rgb_share = read.log_probs, read.rgb
    lattice.logits[..., BLANK] -= recogniser.config.decoder.blank_bias
    expected = torch.log_softmax(lattice.logits[0], dim=-1).numpy()
    np.testing.assert_allclose(table, expected, atol=1e-4)
    np.testing.assert_allclose(rgb_share, lattice.gates[0, :, 0].unflatten(0, (-1, 4)).mean(1).numpy(), atol=1e-5)
    assert 0.02 < rgb_share.mean() < 0.98
    unseen = recogniser.log_probs([features[:, :NUM_FEATURES]])[0]
    without, alone = unseen.log_probs, unseen.rgb
    assert np.abs(without - table).max() > 0.01
    assert (alone == 0).all()


def test_clips_with_and_without_pictures_share_a_pass(recogniser: Recogniser) -> None:
    clips = [looked_at(recogniser, 30, 1), Keypoints.at_rate(performance(50, 2), 25), looked_at(recogniser, 64, 3)]
    together = recogniser.lattices([recogniser.features(clip) for clip in clips])
    for clip, (lattice, attention) in zip(clips, together, strict=True):
        alone = recogniser.recognise(clip)
        movement = hand_movement(recogniser.features(clip))
        assert recogniser.recognition(clip, lattice, attention, Stopwatch(), movement).gloss == alone.gloss
        assert attention == pytest.approx(alone.attention, abs=1e-5)
    assert [attention["rgb"] > 0 for _, attention in together] == [True, False, True]
    stripped = recogniser.recognise(replace(clips[0], rgb_features=None))
    assert stripped.attention == {"rgb": 0.0, "pose": 1.0}


@pytest.mark.parametrize(("fps", "frames"), [(25.0, 48), (25.0, 46), (50.0, 96), (20.0, 39), (30.0, 58)])
def test_a_stream_of_pictures_gives_the_answer_of_the_file(recogniser: Recogniser, fps: float, frames: int) -> None:
    clip = looked_at(recogniser, frames, 7, fps)
    assert clip.rgb_features is not None
    stream = CaptionStream(recogniser, StreamConfig(window=64, stride=64, endpoint_s=60), clip.aspect)
    for points, time_s, row in zip(clip.points, clip.times, clip.rgb_features, strict=True):
        push(stream, points, float(time_s), row)
    done, whole = stream.finish(), recogniser.recognise(clip)
    assert [s.gloss for s in done.final] == whole.gloss
    assert done.rgb == pytest.approx(whole.attention["rgb"], abs=1e-5)


def test_a_stream_may_lose_its_pictures_and_get_them_back(recogniser: Recogniser) -> None:
    clip = looked_at(recogniser, 60)
    assert clip.rgb_features is not None
    rows = clip.rgb_features.copy()
    rows[20:40] = np.nan
    by_rows, by_parts = (CaptionStream(recogniser, StreamConfig(endpoint_s=60), clip.aspect) for _ in range(2))
    by_rows.add(clip.points, clip.times.tolist(), rows)
    for part in (slice(0, 20), slice(20, 40), slice(40, 60)):
        given = None if part.start == 20 else clip.rgb_features[part]
        by_parts.add(clip.points[part], clip.times[part].tolist(), given)
    one, two = by_rows.finish(), by_parts.finish()
    assert one == two
    holes = recogniser.recognise(replace(clip, rgb_features=rows))
    assert one.rgb == pytest.approx(holes.attention["rgb"], abs=1e-5)
    assert 0 < one.rgb < recogniser.recognise(clip).attention["rgb"]


def test_looking_is_a_stage_of_its_own(recogniser: Recogniser) -> None:
    heard: list[str] = []
    reader = ImageReader.of(recogniser, lambda stage, seconds: heard.append(stage))
    assert reader is not None
    reader.push(film(1)[0], performance(1)[0])
    assert heard == [IMAGES]


def test_who_reads_landmarks_alone_has_no_use_for_pictures(tmp_path: Path) -> None:
    whole_clips = Recogniser.load(image_checkpoint(tmp_path / "s3d", backbone="s3d"))
    assert ImageReader.of(whole_clips) is None
    assert whole_clips.frame_dim == NUM_FEATURES
    assert whole_clips.recognise(Keypoints.at_rate(performance(30), 25)).attention == {"rgb": 0.0, "pose": 1.0}


def test_as_many_rows_as_frames() -> None:
    with pytest.raises(InvalidKeypoints, match="RGB features"):
        Keypoints(performance(3), np.arange(3) / 25, rgb_features=np.zeros((2, 4), np.float32))
