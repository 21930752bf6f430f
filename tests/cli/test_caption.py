from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.training import run_folder
from tests.conftest import GLOSSES, VOCABULARIES
from tests.support.media import npz, video


@pytest.fixture(autouse=True)
def _tiny_recogniser(monkeypatch: pytest.MonkeyPatch, tiny_checkpoints: Path, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("CHECKPOINT", "tiny"), ("CHECKPOINT_DIR", str(tiny_checkpoints)), ("DEVICE", "cpu")):
        monkeypatch.setenv(name, value)


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    path = tmp_path / "clip.npz"
    path.write_bytes(npz())
    return path


def test_json_for_several_kinds_of_file(landmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room = video(tmp_path / "room.mp4", frames=6)
    assert main(["caption", str(landmarks), str(room), "--format", "json"]) == 0
    said = capsys.readouterr()
    first, second = map(json.loads, said.out.splitlines())
    assert first["file"].endswith("clip.npz")
    assert first["model"] == "tiny"
    assert [segment["gloss"] for segment in first["segments"]] == first["gloss"]
    assert set(first["gloss"]) <= set(GLOSSES)
    assert second["gloss"] == []
    assert second["warnings"] == ["no_person"]
    assert "No person" in said.err


def test_a_file_that_fails_is_named_and_the_others_go_on(
    landmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paper = tmp_path / "paper.mp4"
    paper.write_bytes(b"%PDF-1.7" + bytes(3000))
    assert main(["caption", str(paper), "nowhere.mp4", str(landmarks)]) == 1
    said = capsys.readouterr()
    assert "clip.npz:" in said.out
    assert "paper.mp4: This file is not a video" in said.err
    assert "nowhere.mp4: No such file" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_go_beside_each_other(landmarks: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other.npz"
    other.write_bytes(npz(60))
    out = tmp_path / "out"
    assert main(["caption", str(landmarks), str(other), "--format", kind, "--output", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"clip.{kind}", f"other.{kind}"]
    text = (out / f"clip.{kind}").read_text()
    assert text.startswith("WEBVTT") or kind == "srt"


def test_several_subtitles_need_places(landmarks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", str(landmarks), str(landmarks), "--format", "srt"]) == 2
    assert "--output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--checkpoint", "none-such"], "available: tiny"), (["--device", "cuda:77"], "DEVICE=cuda:77")],
)
def test_wrong_settings_are_explained(
    landmarks: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", str(landmarks), *options]) == 2
    assert said in capsys.readouterr().err


def test_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{n}\t{gloss}" for n, gloss in enumerate(GLOSSES, start=1)]


def test_labels_follow_the_vocabulary(
    vocabulary_checkpoints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHECKPOINT_DIR", str(vocabulary_checkpoints))
    for options, glosses in (
        ([], VOCABULARIES["everyday"]),
        (["--vocabulary", "core"], VOCABULARIES["core"]),
        (["--vocabulary", "all"], GLOSSES),
        (["--vocabulary", "what,thank you"], ("THANK-YOU", "WHAT")),
    ):
        assert main(["labels", *options]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"{1 + GLOSSES.index(gloss)}\t{gloss}" for gloss in glosses]  # numbered as in /api/labels
    for wrong, says in (("cor", "did you mean 'core'"), ("HELO,YOU", "nearest: HELLO"), ("", "no vocabulary ''")):
        assert main(["labels", "--vocabulary", wrong]) == 2
        assert says in capsys.readouterr().err
    assert main(["doctor"]) == 0
    assert "tiny loads, 5 glosses, 4 of them by default" in capsys.readouterr().out


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "tiny loads, 5 glosses\n" in said
    assert "tensorboard" in said
    monkeypatch.setattr(run_folder, "PACKAGES", ("no_such_package",))
    monkeypatch.setenv("CHECKPOINT", "none-such")
    monkeypatch.setenv("PORT", "http")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "missing" in said
    assert "PORT='http'" in said
    assert "no_such_package, which is not installed here. Install it with" in said


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from app.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.splitlines()[-1] == "False"
    for command in ("caption", "serve", "doctor", "labels", "samples", "train", "evaluate", "release", "average"):
        assert command in done.stdout


def test_a_vocabulary_by_name_or_as_a_list(
    landmarks: Path, vocabulary_checkpoints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHECKPOINT_DIR", str(vocabulary_checkpoints))
    for options, name, glosses in (
        ([], "everyday", VOCABULARIES["everyday"]),
        (["--vocabulary", "core"], "core", VOCABULARIES["core"]),
        (["--vocabulary", "you,thank you"], "custom", ("YOU", "THANK-YOU")),
    ):
        assert main(["caption", str(landmarks), "--format", "json", *options]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["vocabulary"] == name
        assert set(answer["gloss"]) <= set(glosses)
    assert main(["caption", str(landmarks), "--vocabulary", "core"]) == 0
    said = capsys.readouterr()
    assert "?" in said.out  # with `core` it is never sure
    assert "Unsure signs" in said.err


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("cor", "did you mean 'core'"), ("HELO", "nearest: HELLO"), (",", "the list of glosses is empty")],
)
def test_a_wrong_vocabulary_is_explained(
    landmarks: Path,
    vocabulary_checkpoints: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
    says: str,
) -> None:
    monkeypatch.setenv("CHECKPOINT_DIR", str(vocabulary_checkpoints))
    assert main(["caption", str(landmarks), "--vocabulary", wrong]) == 2
    error = capsys.readouterr().err
    assert "--vocabulary: " in error
    assert says in error
