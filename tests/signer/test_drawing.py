"""The drawn figure and its videos: skin where the hands are, files that decode, a command that explains itself."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cli import main
from app.pipeline.keypoints import LEFT_HAND, LEFT_SHOULDER, RIGHT_HAND, RIGHT_SHOULDER, Keypoints, mirrored
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
from app.signer import SAMPLES
from app.signer.figure import draw, palm_facing
from app.signer.prototypes import CORE, PHRASES, load
from app.signer.render import pictures, sample_name, write_video
from app.signer.shapes import Material, limb, paint, rounded_hull, smooth_outline
from app.signer.sheet import telling_frame


def part(clip: Keypoints, frames: slice) -> Keypoints:
    return Keypoints(clip.points[frames], clip.times[frames], clip.aspect)


def skin_at(picture: np.ndarray, x: float, y: float) -> bool:
    red, _, blue = picture[int(y * picture.shape[0]), int(x * picture.shape[1])].astype(int)
    return bool(red > blue + 25)


def test_every_finger_is_where_its_landmarks_are() -> None:
    clip = part(load()["I-LOVE-YOU"], slice(25, 26))
    picture = next(pictures(clip))
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    for x, y, _ in clip.points[0, RIGHT_HAND]:
        assert skin_at(picture, x, y)


def test_a_hand_without_presence_is_not_drawn() -> None:
    points = load()["I-LOVE-YOU"].points[25].copy()
    with_hand = draw(points, palm=0.36, facing=(1.0, 1.0))
    x, y, _ = points[RIGHT_HAND.start + 8]
    points[RIGHT_HAND, 2] = 0
    without = draw(points, palm=0.36, facing=(1.0, 1.0))
    assert skin_at(with_hand, x, y)
    assert not skin_at(without, x, y)


def test_scale_gives_a_larger_picture_of_the_same() -> None:
    clip = part(load()["HELLO"], slice(25, 26))
    small, large = next(pictures(clip, scale=0.5)), next(pictures(clip))
    assert (small.shape, large.shape) == ((240, 320, 3), (480, 640, 3))
    shrunk = large.reshape(240, 2, 320, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 3


@pytest.mark.parametrize("everywhere", [0.0, 0.5, 5.0, -3.0])
def test_nobody_is_an_empty_room(everywhere: float) -> None:
    empty = draw(np.zeros((75, 3), np.float32), palm=0.3, facing=(0.0, 0.0))
    found = draw(np.full((75, 3), everywhere, np.float32), palm=0.3, facing=(0.0, 0.0))
    np.testing.assert_array_equal(found, empty)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_anything_landmarks_can_be_is_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = load()["HELP"].points[25].copy()
    moved = np.setdiff1d(np.arange(75), [LEFT_SHOULDER, RIGHT_SHOULDER])
    points[moved] += rng.normal(0, 0.3, (len(moved), 3)).astype(np.float32)
    with np.errstate(invalid="raise", divide="raise"):
        assert draw(points, palm=0.36, facing=(0.5, -0.5)).shape == (480, 640, 3)


def test_palm_and_back_are_told_apart() -> None:
    clip = load()["I-LOVE-YOU"]
    hand = clip.points[25, RIGHT_HAND, :2] * [4 / 3, 1]
    assert palm_facing(hand, right=True) > 0.3
    other = mirrored(clip.points[25])[LEFT_HAND, :2] * [4 / 3, 1]
    assert palm_facing(other, right=False) == pytest.approx(palm_facing(hand, right=True), abs=1e-5)


def test_distances_are_in_pixels() -> None:
    size = (100, 100)
    bar = limb(np.array([[20.0, 50.0], [80.0, 50.0]], np.float32), (10, 10), size, 5)
    assert bar is not None
    assert bar.distance[50 - bar.y, 50 - bar.x] == pytest.approx(-10, abs=1e-3)
    assert bar.distance[63 - bar.y, 50 - bar.x] == pytest.approx(3, abs=1e-3)
    corners = np.array([[30, 30], [70, 30], [70, 70], [30, 70]], np.float32)
    box = rounded_hull(corners, 4, size, 5)
    assert box is not None
    assert box.distance[50 - box.y, 50 - box.x] == pytest.approx(-24, abs=1e-3)
    assert box.distance[50 - box.y, 76 - box.x] == pytest.approx(2, abs=1e-3)


def test_what_is_out_of_sight_is_not_painted() -> None:
    assert limb(np.array([[500.0, 50.0], [600.0, 50.0]], np.float32), (5, 5), (100, 100), 5) is None
    picture = np.ones((10, 10, 3), np.float32)
    paint(picture, None, Material((1, 0, 0), (1, 0, 0), (0, 0, 0)))
    assert (picture == 1).all()


def test_a_flat_end_is_flat() -> None:
    bar = limb(np.array([[20.0, 50.0], [60.0, 50.0]], np.float32), (10, 10), (100, 100), 15, flat_end=True)
    assert bar is not None
    assert bar.distance[50 - bar.y, 63 - bar.x] == pytest.approx(3, abs=1e-3)
    assert bar.distance[50 - bar.y, 15 - bar.x] < 0


def test_an_outline_passes_through_its_points() -> None:
    points = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    closed, open_ = smooth_outline(points), smooth_outline(points, closed=False)
    for point in points:
        assert np.linalg.norm(closed - point, axis=1).min() < 1e-6
    np.testing.assert_allclose(open_[[0, -1]], [points[0], points[-1]], atol=1e-6)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_holds_every_frame_at_25_a_second(tmp_path: Path) -> None:
    clip = part(load()["HELLO"], slice(20, 28))
    path = tmp_path / "new" / "hello.mp4"
    write_video(clip, path)
    frames = decoded(path)
    assert len(frames) == 8
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate, stream.pix_fmt) == ("h264", 25, "yuv420p")
    drawn = list(pictures(clip))
    assert np.abs(frames[4].astype(int) - drawn[4]).mean() < 4


@pytest.mark.parametrize("glosses", [*((gloss,) for gloss in CORE), *PHRASES], ids=sample_name)
def test_the_videos_that_come_with_the_project_are_those_of_the_prototypes(glosses: tuple[str, ...]) -> None:
    clip = load().phrase(glosses)
    frames = decoded(SAMPLES / sample_name(glosses))
    assert len(frames) == len(clip)
    middle = len(clip) // 2
    around = pictures(part(clip, slice(middle - 8, middle + 9)))
    drawn = next(islice(around, 8, None))
    assert np.abs(frames[middle].astype(int) - drawn).mean() < 4


def test_the_videos_that_come_with_the_project_are_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLES.glob("*.mp4")]
    assert len(sizes) == len(CORE) + len(PHRASES)
    assert max(sizes) < 250_000
    assert sum(sizes) < 4_000_000


def test_command_lists_glosses_and_phrases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples"]) == 0
    out = capsys.readouterr().out
    assert all(gloss in out for gloss in CORE)
    assert "hello.mp4" in out
    assert "THANK-YOU GOODBYE" in out


def test_command_renders_with_landmarks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", "--render", str(tmp_path), "--landmarks", "more"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "more.mp4")
    stored = load_landmarks(tmp_path / "more.npz", "more.npz")
    np.testing.assert_allclose(stored.points[..., 2], load()["MORE"].points[..., 2])


def test_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", "--render", str(tmp_path), "--phrase", "HELLO XYZ"]) == 2
    assert "no prototype of XYZ" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_command_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.write_text("in the way")
    assert main(["samples", "--render", str(taken), "MORE"]) == 1
    assert "choose another --render folder" in capsys.readouterr().err


def test_sheet_shows_each_gloss_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sheet.png"
    assert main(["samples", "--sheet", str(path), "MORE", "MEET"]) == 0
    two = cv2.imread(str(path))
    assert main(["samples", "--sheet", str(path), "MORE"]) == 0
    one = cv2.imread(str(path))
    assert two.shape[0] == one.shape[0]
    assert 2 * one.shape[1] < two.shape[1] < 2.1 * one.shape[1]
    np.testing.assert_array_equal(two[:, : one.shape[1]], one)
    assert main(["samples", "--sheet", str(tmp_path / "no" / "sheet.png"), "MORE"]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_the_telling_frame_is_inside_the_sign() -> None:
    clip = load()["HELLO"]
    number = telling_frame(clip)
    assert clip.points[number, RIGHT_HAND.start, 2] == 1
    speed = np.linalg.norm(np.diff(clip.points[:, RIGHT_HAND.start, :2], axis=0), axis=1)
    assert speed[number] < np.median(speed[10:-10]) * 1.5
