from __future__ import annotations

import importlib
import itertools
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NUM_KEYPOINTS, POSE, RIGHT_HAND
from app.pipeline.module1_preprocessing.landmarks import holistic_graph
from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, LandmarksUnavailable, find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine, MediaPipeTrack
from app.pipeline.module1_preprocessing.video import Frame, InvalidVideo, read_frames

SAMPLE = Path(__file__).parents[4] / "app/signer/samples/hello.mp4"
BLANK = np.full((120, 160, 3), 128, np.uint8)


def blank_clip(frames: int) -> list[Frame]:
    return [Frame(BLANK, i / 25) for i in range(frames)]


@pytest.fixture(scope="module")
def engine() -> Iterator[MediaPipeEngine]:
    with MediaPipeEngine(1) as made:
        yield made


@pytest.fixture
def track(engine: MediaPipeEngine) -> Iterator[MediaPipeTrack]:
    with closing(engine.open()) as opened:
        yield opened


def test_nobody_in_the_picture(track: MediaPipeTrack) -> None:
    clip = find_landmarks(blank_clip(5), track)
    assert clip.points.shape == (5, NUM_KEYPOINTS, 3)
    assert clip.points.dtype == np.float32
    assert not clip.points.any()
    np.testing.assert_allclose(clip.times, np.arange(5) / 25)
    assert clip.aspect == pytest.approx(4 / 3)


def test_no_frames_and_one_frame(track: MediaPipeTrack) -> None:
    assert len(find_landmarks([], track)) == 0
    assert len(find_landmarks(blank_clip(1), track)) == 1


def test_several_pictures_in_flight_come_back_in_order(track: MediaPipeTrack) -> None:
    for _ in range(track.depth):
        track.send(BLANK)
    assert track.pending == track.depth
    assert [track.receive().shape for _ in range(track.depth)] == [(NUM_KEYPOINTS, 3)] * track.depth
    assert track.pending == 0


def test_pictures_of_any_layout_in_memory_and_changing_size(track: MediaPipeTrack) -> None:
    upside_down = np.zeros((90, 60, 3), np.uint8)[::-1, ::-1]
    assert len(find_landmarks([Frame(upside_down, 0.0), Frame(BLANK, 0.1), Frame(BLANK[:17, :16], 0.2)], track)) == 3


def test_a_clip_that_breaks_off_leaves_nothing_behind(engine: MediaPipeEngine) -> None:
    def broken() -> Iterator[Frame]:
        yield from blank_clip(4)
        raise InvalidVideo("too_long", "the video goes on and on")

    with closing(engine.open()) as track, pytest.raises(InvalidVideo):
        find_landmarks(broken(), track)
    with closing(engine.open()) as track:
        assert track.pending == 0
        assert len(find_landmarks(blank_clip(2), track)) == 2


def test_a_closed_track_takes_nothing_more(engine: MediaPipeEngine) -> None:
    track = engine.open()
    track.close()
    track.close()
    with pytest.raises(ExtractionFailed, match="ended"):
        track.send(BLANK)


def test_mediapipe_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, app.pipeline.module1_preprocessing.landmarks.mediapipe as e; e.MediaPipeEngine(2).close();"
        "sys.exit('mediapipe' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_without_mediapipe_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ImportError(f"No module named {name!r}")

    holistic_graph._load_mediapipe.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with MediaPipeEngine(1) as engine, pytest.raises(LandmarksUnavailable, match=r"install 'mediapipe==0\.10\.21'"):
        engine.open()


def test_an_installation_without_model_files(tmp_path: Path) -> None:
    parts = holistic_graph._load_mediapipe()
    resources = importlib.import_module("mediapipe.python._framework_bindings.resource_util")
    resources.set_resource_dir(str(tmp_path))
    try:
        with MediaPipeEngine(1) as engine, pytest.raises(LandmarksUnavailable, match="models do not load"):
            engine.open()
    finally:
        resources.set_resource_dir(str(Path(str(parts.bindings.__file__)).parents[2]))


def test_standard_error_stays_clean_and_open(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine\n"
        "for _ in range(2):\n"
        "    with MediaPipeEngine(1) as engine: engine.warm_up()\n"
        "print('still here', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stderr.strip().splitlines() == ["still here"]


def test_a_graph_is_kept_for_the_next_stream_and_a_broken_one_is_not() -> None:
    with MediaPipeEngine(1) as engine:
        first = engine.open()
        graph = first._graph
        assert graph is not None
        find_landmarks(blank_clip(1), first)
        first.close()
        second = engine.open()
        assert second._graph is graph
        graph._graph.close()  # as if MediaPipe had given up
        with pytest.raises(ExtractionFailed):
            find_landmarks(blank_clip(1), second)
        second.close()
        with closing(engine.open()) as third:
            assert third._graph is not graph
            assert len(find_landmarks(blank_clip(1), third)) == 1


def silenced(track: MediaPipeTrack) -> None:
    """From now on the track's graph answers nothing more."""
    assert track._graph is not None
    track._graph._arrivals = queue.SimpleQueue()


def test_images_without_an_answer_go_through_another_graph_once(
    engine: MediaPipeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = list(itertools.islice(read_frames(SAMPLE), 12))
    with closing(engine.open()) as track:
        whole = find_landmarks(frames, track).points
    assert whole.any()
    monkeypatch.setattr(holistic_graph, "_STALLED_S", 3.0)
    with MediaPipeEngine(1) as other, closing(other.open()) as track:
        silenced(track)
        np.testing.assert_array_equal(find_landmarks(frames, track).points, whole)
        silenced(track)
        track.send(BLANK)
        with pytest.raises(ExtractionFailed, match="no answer"):
            track.receive()


def test_a_closed_engine_lets_open_streams_finish() -> None:
    engine = MediaPipeEngine(2)
    engine.warm_up()
    track = engine.open()
    engine.close()
    assert len(find_landmarks(blank_clip(1), track)) == 1
    track.close()
    assert not engine._idle
    with pytest.raises(RuntimeError, match="closed"):
        engine.open()
    engine.close()


def test_an_engine_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1 graph, got 0"):
        MediaPipeEngine(0)


def test_clips_at_once_from_several_threads() -> None:
    counts: list[int] = []
    with MediaPipeEngine(2) as engine:

        def work(frames: int) -> None:
            with closing(engine.open()) as track:
                counts.append(len(find_landmarks(blank_clip(frames), track)))

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
def test_identical_to_holistic_clip_after_clip(shared_folder: Path, engine: MediaPipeEngine) -> None:
    for name in ("w_38530.mp4", "w_14893.mp4"):
        frames = list(read_frames(shared_folder / "samples" / name))[:25]
        expected = holistic_points([frame.rgb for frame in frames])
        assert expected[:, RIGHT_HAND, 2].any()
        with closing(engine.open()) as track:
            np.testing.assert_array_equal(find_landmarks(frames, track).points, expected)
        one_by_one = []
        with closing(engine.open()) as track:
            for frame in frames:
                track.send(frame.rgb)
                one_by_one.append(track.receive())
        np.testing.assert_array_equal(np.stack(one_by_one), expected)
