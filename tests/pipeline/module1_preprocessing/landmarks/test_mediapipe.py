from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NUM_KEYPOINTS, POSE, RIGHT_HAND
from app.pipeline.module1_preprocessing.landmarks import holistic_graph
from app.pipeline.module1_preprocessing.landmarks.mediapipe import (
    ExtractionFailed,
    ExtractorPool,
    LandmarksUnavailable,
    MediaPipeExtractor,
)
from app.pipeline.module1_preprocessing.video import Frame, InvalidVideo, read_frames

BLANK = np.full((120, 160, 3), 128, np.uint8)


def blank_clip(frames: int) -> list[Frame]:
    return [Frame(BLANK, i / 25) for i in range(frames)]


@pytest.fixture(scope="module")
def extractor() -> Iterator[MediaPipeExtractor]:
    with MediaPipeExtractor() as made:
        yield made


def test_nobody_in_the_picture(extractor: MediaPipeExtractor) -> None:
    clip = extractor.extract(blank_clip(5))
    assert clip.points.shape == (5, NUM_KEYPOINTS, 3)
    assert clip.points.dtype == np.float32
    assert not clip.points.any()
    np.testing.assert_allclose(clip.times, np.arange(5) / 25)
    assert clip.aspect == pytest.approx(4 / 3)


def test_no_frames_and_one_frame(extractor: MediaPipeExtractor) -> None:
    assert len(extractor.extract([])) == 0
    assert len(extractor.extract(blank_clip(1))) == 1
    assert extractor.extract_frame(BLANK, 0.0).shape == (NUM_KEYPOINTS, 3)


def test_pictures_of_any_layout_in_memory_and_changing_size(extractor: MediaPipeExtractor) -> None:
    upside_down = np.zeros((90, 60, 3), np.uint8)[::-1, ::-1]
    assert len(extractor.extract([Frame(upside_down, 0.0), Frame(BLANK, 0.1), Frame(BLANK[:17, :16], 0.2)])) == 3


def test_a_clip_that_breaks_off_leaves_nothing_behind(extractor: MediaPipeExtractor) -> None:
    def broken() -> Iterator[Frame]:
        yield from blank_clip(4)
        raise InvalidVideo("too_long", "the video goes on and on")

    with pytest.raises(InvalidVideo):
        extractor.extract(broken())
    assert extractor.usable
    assert len(extractor.extract(blank_clip(2))) == 2


def test_mediapipe_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, app.pipeline.module1_preprocessing.landmarks.mediapipe as e; e.ExtractorPool(2).close();"
        "sys.exit('mediapipe' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_without_mediapipe_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(holistic_graph, "_mediapipe", None)
    monkeypatch.setattr(importlib, "import_module", missing)
    with ExtractorPool(1) as pool:
        for _ in range(2):  # a failure must not use up the pool
            with pytest.raises(LandmarksUnavailable, match=r"pip install 'mediapipe==0\.10\.21'"), pool.acquire(0.1):
                pass


def test_an_installation_without_model_files(tmp_path: Path) -> None:
    parts = holistic_graph._load_mediapipe()
    resources = importlib.import_module("mediapipe.python._framework_bindings.resource_util")
    resources.set_resource_dir(str(tmp_path))
    try:
        with pytest.raises(LandmarksUnavailable, match="models do not load"):
            MediaPipeExtractor()
    finally:
        resources.set_resource_dir(str(Path(str(parts.bindings.__file__)).parents[2]))


def test_standard_error_stays_clean_and_open(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from app.pipeline.module1_preprocessing.landmarks.mediapipe import *\n"
        "from app.pipeline.module1_preprocessing.video import Frame\n"
        "for _ in range(2):\n"
        "    with MediaPipeExtractor() as e: e.extract([Frame(np.zeros((64, 64, 3), np.uint8), 0.0)])\n"
        "print('still here', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stderr.strip().splitlines() == ["still here"]


def test_pool_lends_at_most_its_size_and_waits(extractor: MediaPipeExtractor) -> None:
    with ExtractorPool(1) as pool:
        with pool.acquire() as first:
            with pytest.raises(TimeoutError, match="busy"), pool.acquire(timeout_s=0.05):
                pass
            got: list[MediaPipeExtractor] = []

            def waiting() -> None:
                with pool.acquire(timeout_s=60) as later:
                    got.append(later)

            thread = threading.Thread(target=waiting)
            thread.start()
            assert not got
        thread.join(60)
        assert got == [first]  # the same one, reused


def test_pool_replaces_a_broken_extractor() -> None:
    with ExtractorPool(1) as pool:
        with pool.acquire() as first:
            first._graph._graph.close()  # as if MediaPipe had given up
            with pytest.raises(ExtractionFailed):
                first.extract(blank_clip(1))
        with pool.acquire(timeout_s=60) as second:
            assert second is not first
            assert len(second.extract(blank_clip(1))) == 1


def test_closed_pool() -> None:
    pool = ExtractorPool(2)
    pool.warm_up(1)
    with pool.acquire() as lent:
        pool.close()
        assert lent.usable  # whoever holds one may finish
    assert not lent.usable
    with pytest.raises(RuntimeError, match="closed"), pool.acquire():
        pass
    pool.close()


def test_pool_of_nothing() -> None:
    with pytest.raises(ValueError, match="0 extractors"):
        ExtractorPool(0)


def test_clips_at_once_from_several_threads() -> None:
    counts: list[int] = []
    with ExtractorPool(2) as pool:

        def work(frames: int) -> None:
            with pool.acquire() as one:
                counts.append(len(one.extract(blank_clip(frames))))

        threads = [threading.Thread(target=work, args=(n,)) for n in (3, 4, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert sorted(counts) == [3, 4, 5]


def holistic_points(pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    from mediapipe.python.solutions.holistic import Holistic

    points = np.zeros((len(pictures), NUM_KEYPOINTS, 3), np.float32)
    with Holistic() as holistic:
        for row, rgb in zip(points, pictures, strict=True):
            found = holistic.process(rgb)
            for where, part in (
                (POSE, found.pose_landmarks),
                (LEFT_HAND, found.left_hand_landmarks),
                (RIGHT_HAND, found.right_hand_landmarks),
            ):
                if part:
                    row[where] = [(p.x, p.y, p.visibility if where == POSE else 1) for p in part.landmark]
    return points


@pytest.mark.real_data
@pytest.mark.slow
def test_identical_to_holistic_clip_after_clip(shared_folder: Path, extractor: MediaPipeExtractor) -> None:
    for name in ("w_38530.mp4", "w_14893.mp4"):
        frames = list(read_frames(shared_folder / "samples" / name))[:25]
        expected = holistic_points([frame.rgb for frame in frames])
        assert expected[:, RIGHT_HAND, 2].any()
        np.testing.assert_array_equal(extractor.extract(frames).points, expected)
        extractor.reset()
        one_by_one = [extractor.extract_frame(frame.rgb, frame.time_s) for frame in frames]
        np.testing.assert_array_equal(np.stack(one_by_one), expected)
