from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.training.corpora.importers import import_corpus
from app.training.corpora.manifest.clip_files import frames_of
from app.training.corpora.manifest.manifest import Entry, read_manifest
from app.training.corpora.opening import corpus_kind
from app.training.errors import CorpusError
from tests.support import media
from tests.support.manifest_corpus import picture_folder
from tests.support.signs_corpus import write_corpus


def phoenix2014(root: Path, prefix: str = "", suffix: str = "", name: str = "01April_2010_heute_default") -> Path:
    """The release's layout: tables separated by |, frames under features/fullFrame-210x260px/SPLIT/NAME/1."""
    base = root / prefix
    for split, signer in (("train", "Signer04"), ("dev", "Signer01"), ("test", "Signer09")):
        (base / "annotations" / "manual").mkdir(parents=True, exist_ok=True)
        rows = ["id|folder|signer|annotation"]
        for take in range(2):
            clip = f"{name}-{split}-{take}"
            rows.append(f"{clip}|{clip}/1/*.png|{signer}|ABER FREUEN MORGEN SONNE")
            picture_folder(base / "features" / "fullFrame-210x260px" / split / clip / "1", 4, width=42, height=52)
        (base / "annotations" / "manual" / f"{split}{suffix}.corpus.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [("", ""), ("phoenix-2014-multisigner", ""), ("phoenix-2014-signerindependent-SI5", ".SI5")],
)
def test_phoenix_2014_in_each_of_its_layouts(tmp_path: Path, prefix: str, suffix: str) -> None:
    source = phoenix2014(tmp_path / "source", prefix, suffix)
    result = import_corpus("phoenix2014", source, tmp_path / "out")
    assert (result.clips, result.left_out) == (6, ())
    manifest = read_manifest(tmp_path / "out")
    assert manifest.sign_language == "gsg"
    first = manifest.entries[0]
    assert first.glosses == ("ABER", "FREUEN", "MORGEN", "SONNE")
    assert (first.signer, first.split, first.fps, first.aspect) == ("Signer04", "train", 25.0, 0.7)
    frames = list(frames_of(tmp_path / "out" / first.file, first))
    assert [f.rgb.shape for f in frames] == [(60, 42, 3)] * 4
    assert [f.time_s for f in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    # Hard links: the pictures are not there twice.
    picture = next((tmp_path / "out" / first.file).iterdir())
    assert picture.stat().st_nlink == 2


def test_phoenix_2014_t_keeps_its_frames_without_the_folder_its_table_names(tmp_path: Path) -> None:
    base = tmp_path / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    (base / "annotations" / "manual").mkdir(parents=True)
    for split in ("train", "dev"):
        rows = ["name|video|start|end|speaker|orth|translation"]
        for clip in ("11August_2010_tagesschau-2", "gone-3", "silent-4"):
            orth = "" if clip.startswith("silent") else "DRUCK TIEF KOMMEN"
            rows.append(f'{clip}|{clip}/1/*.png|-1|-1|Signer08|{orth}|tiefer "luftdruck" bestimmt das wetter')
            if not clip.startswith("gone"):
                picture_folder(base / "features" / "fullFrame-210x260px" / split / clip, 3)
        (base / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join(rows) + "\n")
    result = import_corpus("phoenix2014t", base.parent, tmp_path / "out")
    assert result.clips == 2
    assert result.left_out == (
        "train/gone-3: no frames",
        "train/silent-4: no glosses",
        "dev/gone-3: no frames",
        "dev/silent-4: no glosses",
    )
    entries = read_manifest(tmp_path / "out").entries
    assert [e.glosses for e in entries] == [("DRUCK", "TIEF", "KOMMEN")] * 2


def test_in_place_nothing_is_copied(tmp_path: Path) -> None:
    source = phoenix2014(tmp_path / "corpus")
    before = {p for p in source.rglob("*") if p.is_file()}
    import_corpus("phoenix2014", source, source)
    assert {p for p in source.rglob("*") if p.is_file()} - before == {source / "clips.csv"}
    assert len(read_manifest(source).entries) == 6


def wlasl(root: Path) -> Path:
    (root / "videos").mkdir(parents=True)
    instances = [
        {"video_id": "00001", "split": "train", "signer_id": 3, "frame_start": 1, "frame_end": -1, "fps": 25},
        {"video_id": "00002", "split": "val", "signer_id": 4, "frame_start": 11, "frame_end": 30, "fps": 25},
        {"video_id": "00003", "split": "test", "signer_id": 5, "frame_start": 1, "frame_end": -1, "fps": 25},
        {"video_id": "../../etc/passwd", "split": "train", "signer_id": 5, "frame_start": 1, "frame_end": -1},
    ]
    other = [{"video_id": "00004", "split": "train", "signer_id": 3, "frame_start": 1, "frame_end": -1, "fps": 25}]
    table = [{"gloss": "thank you", "instances": instances}, {"gloss": "book", "instances": other}]
    (root / "WLASL_v0.3.json").write_text(json.dumps(table))
    for name in ("00001", "00002", "00004"):
        media.video(root / "videos" / f"{name}.mp4", frames=40)
    return root


def test_wlasl_with_its_missing_videos_and_parts(tmp_path: Path) -> None:
    result = import_corpus("wlasl", wlasl(tmp_path / "source"), tmp_path / "out")
    assert result.left_out == ("00003 (THANK-YOU): no video", "../../etc/passwd (THANK-YOU): no video")
    assert read_manifest(tmp_path / "out").sign_language == "ase"
    whole, part, book = read_manifest(tmp_path / "out").entries
    assert whole == Entry("videos/00001.mp4", ("THANK-YOU",), "wlasl-3", "train")
    assert part == Entry("videos/00002.mp4", ("THANK-YOU",), "wlasl-4", "dev", start_s=0.4, end_s=1.2)
    assert book.glosses == ("BOOK",)
    assert len(list(frames_of(tmp_path / "out" / part.file, part))) == 20
    few = import_corpus("wlasl", tmp_path / "source", tmp_path / "few", glosses=1)
    assert few.clips == 2


def test_pose_files_need_a_table_and_the_right_points(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_pose(source / "a.pose", ("POSE_LANDMARKS", 33), ("LEFT_HAND_LANDMARKS", 21), ("RIGHT_HAND_LANDMARKS", 21))
    write_pose(source / "openpose.pose", ("BODY_25", 25))
    with pytest.raises(CorpusError, match="do not say what is signed"):
        import_corpus("pose", source, tmp_path / "out")
    (source / "labels.csv").write_text(
        "file,glosses,signer,split,sign_language\na.pose,HELLO YOU,ann,train,bfi\nopenpose.pose,YES,bob,train,\n"
        "../x.pose,NO,bob,train,\na.pose,,ann,train,bfi\na.pose,NO,ann,validation,bfi\n"
    )
    result = import_corpus("pose", source, tmp_path / "out")
    assert result.clips == 1
    assert "POSE_LANDMARKS with 33 points" in result.left_out[0]
    assert "leaves the folder" in result.left_out[1]
    assert "`glosses` is empty" in result.left_out[2]
    assert "'validation'" in result.left_out[3]
    manifest = read_manifest(tmp_path / "out")
    assert manifest.entries == (Entry("a.pose", ("HELLO", "YOU"), "ann", "train"),)
    assert manifest.sign_language == "bfi"
    for codes in ("ase", "british"):
        (source / "labels.csv").write_text(
            f"file,glosses,signer,split,sign_language\na.pose,A,b,train,bfi\na,A,b,dev,{codes}\n"
        )
        with pytest.raises(CorpusError, match=r"bfi|ISO 639-3"):
            import_corpus("pose", source, tmp_path / codes)


def write_pose(path: Path, *components: tuple[str, int]) -> None:
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    header = PoseHeader(
        version=0.1,
        dimensions=PoseHeaderDimensions(width=640, height=480, depth=100),
        components=[
            PoseHeaderComponent(
                name=n, points=[f"p{i}" for i in range(count)], limbs=[], colors=[], point_format="XYZC"
            )
            for n, count in components
        ],
    )
    points = sum(count for _, count in components)
    data = np.random.default_rng(0).uniform(100, 400, (12, 1, points, 3)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as f:
        Pose(header, NumPyPoseBody(25, data, np.ones((12, 1, points), np.float32))).write(f)


def test_signs_as_they_are_and_as_single_clips(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source = write_corpus(tmp_path / "source")
    assert import_corpus("signs", source, tmp_path / "whole").clips == 36
    assert corpus_kind(tmp_path / "whole") == "signs"
    assert import_corpus("signs-clips", source, tmp_path / "clips").clips == 36
    assert corpus_kind(tmp_path / "clips") == "manifest"
    manifest = read_manifest(tmp_path / "clips")
    assert {e.glosses for e in manifest.entries} >= {(), ("HOW", "YOU"), ("HELLO",)}
    assert {e.split for e in manifest.entries} == {"train", "dev"}


def test_boston104_keeps_its_own_layout(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    words = "video,speaker,word,startframe,endframe\n1,woman-1,JOHN,8,17\n1,woman-1,BUY,18,30\n"
    (source / "hands_condensed.csv").write_text(
        "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y\n1,0,1,2,3,4,5,6\n"
    )
    (source / "speaker.csv").write_text("video,speaker\n1,woman-1\n")
    (source / "train_words.csv").write_text(words)
    with pytest.raises(CorpusError, match=r"test_words\.csv"):
        import_corpus("boston104", source, tmp_path / "out")
    (source / "test_words.csv").write_text("video,word\n")
    with pytest.raises(CorpusError, match="lacks the columns speaker, startframe"):
        import_corpus("boston104", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (source / "test_words.csv").write_text(words.replace("\n1,", "\n2,"))
    assert import_corpus("boston104", source, tmp_path / "out").clips == 2
    assert corpus_kind(tmp_path / "out") == "boston104"


@pytest.mark.parametrize("kind", ["phoenix2014", "phoenix2014t", "wlasl", "pose", "signs", "signs-clips", "boston104"])
def test_another_layout_is_refused_and_nothing_is_left(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source").mkdir()
    out = tmp_path / "root" / "out"
    assert main(["dataset", "import", "--kind", kind, "--source", str(tmp_path / "source"), "--out", str(out)]) == 2
    assert str(tmp_path / "source") in capsys.readouterr().err
    assert not out.exists()
    assert not list(tmp_path.rglob(".out*"))


def test_a_dataset_is_not_overwritten_and_a_corpus_names_only_its_own_files(tmp_path: Path) -> None:
    source = wlasl(tmp_path / "source")
    import_corpus("wlasl", source, tmp_path / "out")
    with pytest.raises(CorpusError, match="holds a dataset already"):
        import_corpus("wlasl", source, tmp_path / "out")
    with pytest.raises(CorpusError, match="lies inside"):
        import_corpus("wlasl", source, source / "inner")
    with pytest.raises(CorpusError, match="there is no folder"):
        import_corpus("wlasl", tmp_path / "nowhere", tmp_path / "x")
    media.video(tmp_path / "elsewhere.mp4")
    (source / "videos" / "00001.mp4").unlink()
    (source / "videos" / "00001.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(CorpusError, match="leads out"):
        import_corpus("wlasl", source, tmp_path / "linked")


def test_import_and_report_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = wlasl(tmp_path / "source"), tmp_path / "datasets" / "wlasl"
    assert main(["dataset", "import", "--kind", "wlasl", "--source", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "3 clips" in said.out
    assert f"python -m app extract {out}" in said.out
    assert "00003 (THANK-YOU): no video" in said.err
    assert main(["dataset", "report", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["listed"] == {"train": 2, "dev": 1, "test": 0}
    assert report["landmarks_missing"] == 3
    assert main(["dataset", "report", str(out)]) == 0
    assert "landmarks missing: 3 clips" in capsys.readouterr().out
