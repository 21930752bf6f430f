from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, POSE, RIGHT_HAND, Keypoints
from app.pipeline.module1_preprocessing.landmark_files import (
    MAX_FRAMES,
    InvalidLandmarkFile,
    keypoints_from_json,
    keypoints_from_points,
    load_landmarks,
    save_npz,
)


def blocks(frames: int = 5, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """A made-up body; the left hand is missing in the first two frames."""
    rng = np.random.default_rng(seed)
    left = rng.uniform(0.1, 0.9, (frames, 21, 2)).astype(np.float32)
    left[:2] = 0
    return {
        "pose": rng.uniform(0.1, 0.9, (frames, 33, 3)).astype(np.float32),
        "left": left,
        "right": rng.uniform(0.1, 0.9, (frames, 21, 2)).astype(np.float32),
    }


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def refused(data: bytes, filename: str = "clip.npz") -> str:
    with pytest.raises(InvalidLandmarkFile) as caught:
        load_landmarks(data, filename)
    return caught.value.code


def test_npz_in_the_corpus_layout() -> None:
    arrays = blocks()
    clip = load_landmarks(npz(**arrays, fps=15, width=1280, height=720), "clip.npz")
    np.testing.assert_array_equal(clip.points[:, POSE], arrays["pose"])
    np.testing.assert_array_equal(clip.points[:, LEFT_HAND, :2], arrays["left"])
    assert clip.points[:, LEFT_HAND, 2].mean(axis=1).tolist() == [0, 0, 1, 1, 1]
    assert (clip.points[:, RIGHT_HAND, 2] == 1).all()
    np.testing.assert_allclose(clip.times, np.arange(5) / 15)
    assert clip.aspect == pytest.approx(16 / 9)


def test_without_rate_and_size_25_fps_and_4_to_3_are_taken() -> None:
    clip = load_landmarks(npz(**blocks()), "CLIP.NPZ")
    assert clip.times[1] == pytest.approx(0.04)
    assert clip.aspect == pytest.approx(4 / 3)


@given(frames=st.integers(1, 30), seed=st.integers(0, 2**16), aspect=st.floats(0.2, 5), step=st.floats(0.005, 0.9))
def test_saving_and_loading_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, frames: int, seed: int, aspect: float, step: float
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.01, 1, (frames, 75, 3)).astype(np.float32)
    for hand in (LEFT_HAND, RIGHT_HAND):
        points[:, hand] *= (rng.random(frames) < 0.5)[:, None, None]
        points[:, hand, 2] = points[:, hand, 2] > 0
    clip = Keypoints(points, np.cumsum(rng.uniform(0.5, 1.5, frames) * step), aspect)
    path = tmp_path_factory.mktemp("npz") / "clip.npz"
    save_npz(path, clip)
    loaded = load_landmarks(path)
    np.testing.assert_array_equal(loaded.points, clip.points)
    np.testing.assert_array_equal(loaded.times, clip.times)
    assert loaded.aspect == pytest.approx(aspect)


@pytest.mark.parametrize("fps", [0, -25, 0.5, 241, float("nan"), float("inf")])
def test_rates_out_of_range(fps: float) -> None:
    assert refused(npz(**blocks(), fps=fps)) == "bad_rate"


def as_json(obj: dict[str, Any]) -> bytes:
    return json.dumps(obj, default=np.ndarray.tolist).encode()


@given(fps=st.floats(allow_nan=False, allow_infinity=False))
def test_a_rate_is_taken_exactly_if_it_lies_between_1_and_240(fps: float) -> None:
    obj = {name: block.tolist() for name, block in blocks(2).items()} | {"fps": fps}
    if 1 <= fps <= 240:
        assert np.diff(keypoints_from_json(as_json(obj)).times)[0] == pytest.approx(1 / fps)
    else:
        with pytest.raises(InvalidLandmarkFile) as caught:
            keypoints_from_json(as_json(obj))
        assert caught.value.code == "bad_rate"


@given(
    shape=st.lists(st.integers(0, 5) | st.sampled_from([75, 80]), min_size=0, max_size=4)
    .map(tuple)
    .filter(lambda s: s[1:] != (75, 3) and math.prod(s) <= 40_000),
)
def test_any_other_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidLandmarkFile) as caught:
        keypoints_from_json(as_json({"points": np.zeros(shape)}))
    assert caught.value.code == "bad_shape"


@given(
    where=st.tuples(st.integers(0, 3), st.integers(0, 74), st.integers(0, 2)),
    what=st.sampled_from(["nan", "inf", "-inf"]),
)
def test_one_value_that_is_not_finite_is_enough(where: tuple[int, int, int], what: str) -> None:
    points = np.full((4, 75, 3), 0.5)
    points[where] = float(what)
    with pytest.raises(InvalidLandmarkFile, match=f"frame {where[0]}") as caught:
        keypoints_from_points(points, 25, 4 / 3)
    assert caught.value.code == "not_finite"


@given(where=st.tuples(st.integers(0, 3), st.integers(0, 74), st.integers(0, 2)), value=st.floats(10.1, 1e30))
def test_pixels_instead_of_relative_coordinates(where: tuple[int, int, int], value: float) -> None:
    for sign in (1, -1):
        points = np.full((4, 75, 3), 0.5)
        points[where] = sign * value
        with pytest.raises(InvalidLandmarkFile) as caught:
            keypoints_from_json(as_json({"points": points}))
        assert caught.value.code == "out_of_range"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"left": None}, "missing_array"),
        ({"left": np.zeros((5, 20, 2))}, "bad_shape"),
        ({"right": np.zeros((4, 21, 2))}, "bad_shape"),
        ({"pose": np.zeros((5, 33, 4))}, "bad_shape"),
        ({"pose": np.float64(3)}, "bad_shape"),
        ({"fps": np.array([25, 25])}, "bad_shape"),
        ({"width": 640}, "bad_size"),
        ({"width": 0, "height": 480}, "bad_size"),
        ({"width": 1e6, "height": 1}, "bad_size"),
        ({"width": np.nan, "height": 1}, "bad_size"),
        ({"times": np.array([0, 1, 1, 2, 3.0])}, "bad_times"),
        ({"times": np.zeros(4)}, "bad_times"),
        ({"pose": np.full((5, 33, 3), "x")}, "not_landmarks"),
        ({"pose": np.full((5, 33, 3), None, dtype=object)}, "not_landmarks"),
        ({"pose": np.zeros((0, 33, 3)), "left": np.zeros((0, 21, 2)), "right": np.zeros((0, 21, 2))}, "empty"),
    ],
)
def test_npz_faults(change: dict[str, Any], code: str) -> None:
    arrays: dict[str, Any] = {**blocks(), **change}
    assert refused(npz(**{name: value for name, value in arrays.items() if value is not None})) == code


def test_too_many_frames() -> None:
    assert refused(npz(**blocks(MAX_FRAMES + 1))) == "too_long"


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    buffer = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 33, 3)})
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("pose.npy", "w") as f,
    ):
        f.write(header.getvalue())
        for _ in range(99):
            f.write(bytes(4 * 10**6))
    assert len(buffer.getvalue()) < 500_000
    assert refused(buffer.getvalue()) == "too_large"


def test_an_array_that_declares_more_than_its_file_holds() -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 33, 3)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pose.npy", member.getvalue() + bytes(100))
    assert refused(buffer.getvalue()) == "not_landmarks"


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (b"", "clip.npz", "empty"),
        (b"%PDF-1.7", "clip.npz", "not_landmarks"),
        (npz(**blocks())[:500], "clip.npz", "not_landmarks"),
        (b"{", "clip.json", "not_json"),
        (b"[" * 100_000, "clip.json", "not_landmarks"),
        (b"\xff\xfe{}", "clip.json", "not_json"),
        (b"[1, 2]", "clip.json", "not_landmarks"),
        (b'{"points": [[1, 2], [3]]}', "clip.json", "bad_shape"),
        (b'{"points": "abc"}', "clip.json", "bad_shape"),
        (b'{"points": {"a": 1}}', "clip.json", "bad_shape"),
        (b"{}", "clip.json", "missing_array"),
        (b"nonsense", "clip.pose", "not_landmarks"),
        (b"x", "clip.pkl", "not_landmarks"),
        (b"x", "clip", "not_landmarks"),
    ],
)
def test_other_files(data: bytes, filename: str, code: str) -> None:
    assert refused(data, filename) == code


@given(data=st.binary(min_size=1, max_size=300), suffix=st.sampled_from([".npz", ".pose", ".json"]))
def test_arbitrary_bytes_raise_nothing_but_the_documented_error(data: bytes, suffix: str) -> None:
    with pytest.raises(InvalidLandmarkFile):
        load_landmarks(data, "clip" + suffix)


def test_json_in_both_layouts() -> None:
    arrays = blocks(3)
    by_blocks = keypoints_from_json(as_json({**arrays, "fps": 30}))
    flat = json.dumps({"points": by_blocks.points.tolist(), "fps": 30, "width": 640, "height": 480})
    together = load_landmarks(flat.encode(), "clip.json")
    np.testing.assert_array_equal(together.points, by_blocks.points)
    np.testing.assert_array_equal(together.times, by_blocks.times)


def pose_file(
    components: tuple[tuple[str, int], ...], fps: float = 24, size: tuple[int, int] = (640, 480), frames: int = 4
) -> tuple[bytes, NDArray[np.float32], NDArray[np.float32]]:
    """A .pose file written by the library itself, with its pixels (T, points, 3) and confidences (T, points)."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = [
        PoseHeaderComponent(name, [f"{name}{i}" for i in range(count)], [], [(0, 0, 0)], "XYZC")
        for name, count in components
    ]
    rng = np.random.default_rng(5)
    total = sum(count for _, count in components)
    pixels = rng.uniform(1, 400, (frames, total, 3)).astype(np.float32)
    confidence = np.ones((frames, total), np.float32)
    confidence[0] = 0
    header = PoseHeader(0.2, PoseHeaderDimensions(*size, 0), parts)
    pose = Pose(header, NumPyPoseBody(fps, pixels[:, None], confidence[:, None]))
    buffer = io.BytesIO()
    pose.write(buffer)
    return buffer.getvalue(), pixels, confidence


HOLISTIC = (
    ("POSE_LANDMARKS", 33),
    ("FACE_LANDMARKS", 468),
    ("LEFT_HAND_LANDMARKS", 21),
    ("RIGHT_HAND_LANDMARKS", 21),
    ("POSE_WORLD_LANDMARKS", 33),
)


@pytest.mark.parametrize(
    "components", [HOLISTIC, tuple(c for c in HOLISTIC if "FACE" not in c[0] and "WORLD" not in c[0])]
)
def test_pose_files_of_holistic_whole_and_reduced(tmp_path: Path, components: tuple[tuple[str, int], ...]) -> None:
    data, pixels, confidence = pose_file(components)
    path = tmp_path / "clip.pose"
    path.write_bytes(data)
    clip = load_landmarks(path)
    assert clip.points.shape == (4, 75, 3)
    assert clip.aspect == pytest.approx(4 / 3)
    np.testing.assert_allclose(np.diff(clip.times), 1 / 24, rtol=1e-6)
    start = 0
    for name, count in components:
        where = {"POSE_LANDMARKS": POSE, "LEFT_HAND_LANDMARKS": LEFT_HAND, "RIGHT_HAND_LANDMARKS": RIGHT_HAND}.get(name)
        if where is not None:
            seen = confidence[:, start : start + count, None]
            np.testing.assert_allclose(
                clip.points[:, where, :2], pixels[:, start : start + count, :2] / (640, 480) * seen, rtol=1e-5
            )
            np.testing.assert_array_equal(clip.points[:, where, 2], seen[..., 0])
        start += count


@pytest.mark.parametrize(
    ("components", "fps", "size", "code"),
    [
        ((("POSE_LANDMARKS", 25), *HOLISTIC[1:]), 24, (640, 480), "bad_shape"),
        (HOLISTIC[:3], 24, (640, 480), "bad_shape"),
        (HOLISTIC, 0, (640, 480), "bad_rate"),
        (HOLISTIC, float("nan"), (640, 480), "bad_rate"),
        (HOLISTIC, 24, (0, 480), "bad_size"),
        (HOLISTIC, 24, (8, 6), "out_of_range"),
    ],
)
def test_pose_file_faults(
    components: tuple[tuple[str, int], ...], fps: float, size: tuple[int, int], code: str
) -> None:
    assert refused(pose_file(components, fps, size)[0], "clip.pose") == code


def test_a_cut_off_pose_file() -> None:
    data, _, _ = pose_file(HOLISTIC)
    assert refused(data[: len(data) // 2], "clip.pose") == "not_landmarks"


@pytest.mark.real_data
def test_a_clip_of_the_corpus(shared_folder: Path) -> None:
    with np.load(shared_folder / "data/signs/dev.npz", allow_pickle=False) as corpus:
        names = set(corpus.files)
    assert {"pose", "left", "right"} <= names
