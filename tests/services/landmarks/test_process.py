"""Landmarks found in a process of their own: the same numbers, and only that process ends when native code crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarksUnavailable,
    TrackLost,
    find_landmarks,
)
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import Frame, read_frames
from app.services.landmarks import process as process_module
from app.services.landmarks.process import LandmarkProcess
from tests.api.test_process import until

SAMPLE = Path(__file__).resolve().parents[3] / "app/signer/samples/hello.mp4"
BLANK = np.full((120, 160, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def engine() -> Iterator[LandmarkProcess]:
    made = LandmarkProcess(1)
    yield made
    made.close()
    made.close()


def pid_of(engine: LandmarkProcess) -> int:
    assert engine.pid is not None
    return engine.pid


def test_the_same_landmarks_as_in_the_process(engine: LandmarkProcess) -> None:
    frames = list(read_frames(SAMPLE))[:30]
    with closing(engine.open()) as theirs, MediaPipeEngine(1) as own, closing(own.open()) as ours:
        there, here = find_landmarks(frames, theirs), find_landmarks(frames, ours)
    assert there.points.any()
    np.testing.assert_array_equal(there.points, here.points)


def test_images_of_any_layout_and_changing_size(engine: LandmarkProcess) -> None:
    upside_down = np.zeros((90, 60, 3), np.uint8)[::-1, ::-1]
    large = np.zeros((720, 1280, 3), np.uint8)
    images = [upside_down, BLANK, BLANK[:17, :16], large, BLANK, upside_down, large]
    with closing(engine.open()) as track:
        assert len(find_landmarks([Frame(image, i / 25) for i, image in enumerate(images)], track)) == len(images)


def test_two_tracks_at_once_and_a_closed_one(engine: LandmarkProcess) -> None:
    with closing(engine.open()) as one, closing(engine.open()) as two:
        for track in (one, two, one):
            track.send(BLANK)
        assert (one.pending, two.pending) == (2, 1)
        assert [track.receive().shape for track in (two, one, one)] == [(75, 3)] * 3
    one.close()
    with pytest.raises(ExtractionFailed, match="ended"):
        one.send(BLANK)


@pytest.mark.parametrize("size", [(40000, 100), (100, 40000), (8, 8), (400, 30)])
def test_a_size_that_is_not_taken_does_not_reach_the_process(engine: LandmarkProcess, size: tuple[int, int]) -> None:
    with closing(engine.open()) as track:
        with pytest.raises(InvalidImage):
            track.send(np.zeros((*size, 3), np.uint8))
        track.send(BLANK)
        assert track.receive().shape == (75, 3)


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_loses_the_tracks_and_the_next_one_works(engine: LandmarkProcess, how: signal.Signals) -> None:
    with closing(engine.open()) as track:
        before = pid_of(engine)
        track.send(BLANK)
        track.receive()
        os.kill(before, how)
        with pytest.raises(TrackLost, match="the landmark process ended"):
            find_landmarks([Frame(BLANK, i / 25) for i in range(3)], track)
    with closing(engine.open()) as track:
        track.send(BLANK)
        assert track.receive().shape == (75, 3)
    assert pid_of(engine) != before


def test_a_process_that_does_not_answer_is_ended(engine: LandmarkProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.warm_up()
    monkeypatch.setattr(process_module, "STALLED_S", 2.0)
    with closing(engine.open()) as track:
        os.kill(pid_of(engine), signal.SIGSTOP)
        track.send(BLANK)
        with pytest.raises(TrackLost, match="did not answer"):
            track.receive()
    monkeypatch.undo()
    engine.warm_up()


def test_a_process_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    broken = LandmarkProcess(1)
    with pytest.raises(LandmarksUnavailable, match="ends as soon as it starts"):
        broken.open()
    broken.close()


def test_without_mediapipe_the_message_comes_from_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mediapipe.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = LandmarkProcess(1)
    with pytest.raises(LandmarksUnavailable, match=r"pip install 'mediapipe==0\.10\.21'"):
        broken.open()
    broken.close()


def test_closing_ends_the_process_and_nothing_opens_afterwards() -> None:
    engine = LandmarkProcess(1)
    engine.warm_up()
    process = psutil.Process(pid_of(engine))
    engine.close()
    assert not process.is_running()
    with pytest.raises(RuntimeError, match="closed"):
        engine.open()
    with pytest.raises(ValueError, match="at least 1"):
        LandmarkProcess(0)


def test_the_process_ends_with_the_service_however_that_ends() -> None:
    code = (
        "import os, signal\n"
        "from app.services.landmarks.process import LandmarkProcess\n"
        "engine = LandmarkProcess(1); engine.warm_up(); track = engine.open()\n"
        "print(engine.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(int(done.stdout)))
