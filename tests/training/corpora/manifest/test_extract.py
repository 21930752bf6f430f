from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.pipeline.keypoints import hand_present, person_present
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import read_frames
from app.signer import SAMPLES
from app.training.corpora.manifest.cache import Cache, PictureConfig
from app.training.corpora.manifest.extract import (
    Extraction,
    ExtractionJob,
    extract_clip,
    extract_corpus,
    remove_leftovers,
)
from app.training.corpora.manifest.manifest import Entry, read_manifest
from app.training.corpora.manifest.workers import WorkerDied, spread
from tests.support import media
from tests.support.manifest_corpus import landmark_clip, picture_folder, table


def one_by_one(jobs: list[ExtractionJob]) -> Iterator[tuple[ExtractionJob, Extraction]]:
    """All jobs in this process, one after the other."""
    for job in jobs:
        yield job, extract_clip(job)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two videos of the drawn signer, a folder of pictures, a landmark file, and in the middle a damaged video."""
    root = tmp_path / "corpus"
    (root / "videos").mkdir(parents=True)
    for name in ("hello", "yes"):
        shutil.copy(SAMPLES / f"{name}.mp4", root / "videos")
    whole = (SAMPLES / "hello.mp4").read_bytes()
    (root / "videos" / "damaged.mp4").write_bytes(whole[: len(whole) // 3])
    picture_folder(root / "pictures")
    landmark_clip(root / "ready.npz")
    return table(
        root,
        "videos/hello.mp4,HELLO,ann,train,",
        "videos/damaged.mp4,NO,ann,train,",
        "videos/yes.mp4,YES,bob,dev,",
        "pictures,NO,bob,dev,25",
        "ready.npz,YES,ann,train,",
    )


@pytest.mark.slow
@pytest.mark.golden
def test_a_corpus_is_extracted_once_and_what_fails_is_listed(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", str(corpus), "--workers", "2", "--pictures", "48", "--quiet"]) == 1
    said = capsys.readouterr()
    assert "3 extracted, 0 already done, 1 landmark files, 1 failed" in said.out
    assert "videos/damaged.mp4: truncated" in said.err
    report = json.loads((corpus / "extraction_report.json").read_text())
    assert [f["file"] for f in report["failed"]] == ["videos/damaged.mp4"]
    assert report["nobody_seen"] == ["pictures"]

    cache = Cache(corpus)
    hello, _, _, pictures, _ = read_manifest(corpus).entries
    clip = cache.load(cache.key(hello))
    assert clip is not None
    with MediaPipeEngine(1) as engine, closing(engine.open()) as track:
        alone = find_landmarks(read_frames(corpus / hello.file), track)
    np.testing.assert_array_equal(person_present(clip.points), person_present(alone.points))
    np.testing.assert_array_equal(clip.points[:, :33], alone.points[:, :33])
    assert hand_present(clip.points).any()
    crops = cache.load_pictures(cache.key(hello), PictureConfig(48))
    assert crops is not None
    assert len(crops) == len(clip)
    assert crops.decode(np.array([0, 0, 3])).shape == (3, 1, 48, 48, 3)
    empty = cache.load(cache.key(pictures))
    assert empty is not None
    assert len(empty) == 6

    assert main(["extract", str(corpus), "--workers", "2", "--pictures", "48", "--quiet"]) == 1
    assert "0 extracted, 3 already done" in capsys.readouterr().out
    (corpus / "videos" / "damaged.mp4").unlink()
    shutil.copy(SAMPLES / "no.mp4", corpus / "videos" / "damaged.mp4")
    assert main(["extract", str(corpus), "--workers", "1", "--quiet"]) == 0
    assert "1 extracted, 3 already done" in capsys.readouterr().out
    assert not list(corpus.rglob("*.part*"))


@pytest.mark.slow
@pytest.mark.golden
def test_what_is_damaged_in_the_cache_or_lacks_its_crops_is_done_again(tmp_path: Path) -> None:
    root = table(tmp_path, "pictures,NO,bob,train,25")
    picture_folder(root / "pictures")
    first = extract_corpus(root, None, doing=one_by_one)
    assert (first.extracted, first.cached) == (1, 0)
    assert extract_corpus(root, PictureConfig(32), doing=one_by_one).extracted == 1
    assert extract_corpus(root, PictureConfig(32), doing=one_by_one).cached == 1
    assert extract_corpus(root, PictureConfig(32, hands=True), doing=one_by_one).extracted == 1
    for file in Cache(root).folder.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    assert extract_corpus(root, PictureConfig(32), doing=one_by_one).extracted == 1
    (root / "pictures" / "images0002.png").write_bytes(b"no picture")
    report = extract_corpus(root, None, doing=one_by_one)
    assert report.failed == [
        {
            "file": "pictures",
            "reason": "undecodable: the image images0002.png is damaged or not an image; fetch it again",
        }
    ]


@pytest.mark.slow
def test_a_full_disk_fails_the_clip_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = table(tmp_path, "pictures,NO,bob,train,25")
    picture_folder(root / "pictures")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        outcome = extract_clip(ExtractionJob(root, Entry("pictures", ("NO",), "bob", "train", 25.0), None))
    assert (outcome.state, outcome.reason) == ("failed", "No space left on device")
    assert not list(Cache(root).folder.iterdir())


def test_a_clip_is_known_by_its_content_and_by_what_the_manifest_says_of_it(tmp_path: Path) -> None:
    landmark_clip(tmp_path / "a.npz")
    shutil.copy(tmp_path / "a.npz", tmp_path / "b.npz")
    cache = Cache(tmp_path)
    entry = Entry("a.npz", ("A",), "s", "train")
    key = cache.key(entry)
    assert cache.key(Entry("b.npz", ("B",), "t", "dev")) == key
    assert cache.key(Entry("a.npz", ("A",), "s", "train", fps=12.0)) != key
    assert cache.key(Entry("a.npz", ("A",), "s", "train", end_s=1.0)) != key
    cache.save_index()
    assert Cache(tmp_path).content(entry) == cache.content(entry)
    landmark_clip(tmp_path / "a.npz", seed=3, frames=21)
    assert Cache(tmp_path).key(entry) != key
    (tmp_path / "landmarks" / "contents.json").write_text('{"a.npz": [1')
    assert Cache(tmp_path).content(entry) is None


def square(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def linger(number: int) -> int:
    time.sleep(60)
    return number


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_own_job_only() -> None:
    results = dict(spread(square, range(6), workers=2))
    assert results.pop(3) == WorkerDied(-9)
    assert results == {n: n * n for n in (0, 1, 2, 4, 5)}
    assert "signal 9" in str(WorkerDied(-9))
    assert list(spread(square, [], workers=2)) == []


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_leaves_no_process_and_no_half_written_file(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # Far more than can be done before the signal comes, however fast the machine.
    names = [media.video(corpus / f"{i}.mp4", frames=600 + i).name for i in range(8)]
    table(corpus, *(f"{name},NO,ann,train," for name in names))
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "extract", str(corpus), "--workers", "2", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What starts the tests in the background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    deadline = time.monotonic() + 60
    while len(Path(children).read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started = [int(pid) for pid in Path(children).read_text().split()]
    assert len(started) >= 2
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130, error
    assert "run the same command again" in error
    assert "Traceback" not in error
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not list(corpus.rglob("*.part*"))
    assert (corpus / "extraction_report.json").is_file()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".abc.77.part.npz").write_bytes(b"half")
    (tmp_path / "abc.npz").write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["abc.npz"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workers", "0"], "at least one process"),
        (["--hands"], "--pictures SIDE"),
        (["--pictures", "4"], "32 to 512"),
        ([], "no clips.csv"),
    ],
)
def test_a_wrong_command_is_refused(
    tmp_path: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", str(tmp_path), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_the_rate_of_the_manifest_wins_over_that_of_the_file(tmp_path: Path) -> None:
    from app.training.corpora.manifest.clip_files import frames_of

    path = media.video(tmp_path / "v.mp4", frames=40, fps=50)
    assert len(list(frames_of(path, Entry("v.mp4", (), "s", "train")))) == 21
    slow = [f.time_s for f in frames_of(path, Entry("v.mp4", (), "s", "train", fps=20.0))]
    np.testing.assert_allclose(slow, np.arange(40) / 20, atol=1e-3)
    part = [f.time_s for f in frames_of(path, Entry("v.mp4", (), "s", "train", fps=20.0, start_s=0.5, end_s=1.0))]
    np.testing.assert_allclose(part, np.arange(10) / 20, atol=1e-3)


def test_squeezed_pictures_get_their_true_shape(tmp_path: Path) -> None:
    from app.training.corpora.manifest.clip_files import frames_of

    picture_folder(tmp_path / "p", frames=12, width=42, height=52)
    frames = list(frames_of(tmp_path / "p", Entry("p", (), "s", "train", 25.0, aspect=210 / 300)))
    assert [f.rgb.shape for f in frames] == [(60, 42, 3)] * 12
    assert [int(f.rgb[0, 0, 0]) for f in frames] == list(range(80, 92))
