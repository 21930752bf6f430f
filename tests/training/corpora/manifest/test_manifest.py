from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.training.corpora.manifest.manifest import Entry, read_manifest, require_split, shared_signers, write_manifest
from app.training.corpora.opening import corpus_kind
from app.training.errors import CorpusError
from tests.support.manifest_corpus import landmark_clip

HEADER = "file,glosses,signer,split,fps\n"


def write(root: Path, *lines: str, files: tuple[str, ...] = ("a.npz", "b.npz")) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    (root / "clips.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def test_a_good_table_is_read_as_it_stands(tmp_path: Path) -> None:
    write(tmp_path, "a.npz,HELLO YOU,ann,train,", "b.npz,-,bob,dev,25")
    manifest = read_manifest(tmp_path)
    assert corpus_kind(tmp_path) == "manifest"
    assert manifest.entries == (
        Entry("a.npz", ("HELLO", "YOU"), "ann", "train"),
        Entry("b.npz", (), "bob", "dev", fps=25.0),
    )
    (warning,) = manifest.warnings
    assert "add the column sign_language" in warning
    assert manifest.sign_language == "und"
    assert require_split(manifest, "dev") == [manifest.entries[1]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("gone.npz,A,s,train,", "gone.npz is missing"),
        ("../a.npz,A,s,train,", "leaves the folder"),
        ("/etc/passwd,A,s,train,", "leaves the folder"),
        ("sub/../../a.npz,A,s,train,", "leaves the folder"),
        ("c:\\a.npz,A,s,train,", "leaves the folder"),
        ("out.npz,A,s,train,", "link that leads out"),
        ("outside/x.npz,A,s,train,", "link that leads out"),
        ("empty,A,s,train,", "folder without pictures"),
        (",A,s,train,", "`file` is empty"),
        ("b.npz,,s,train,", "`glosses` is empty"),
        ("b.npz,A,,train,", "`signer` is empty"),
        ("b.npz,A,s,validation,", "'validation'; it should be train, dev, test"),
        ("b.npz,A,s,,", "it should be train, dev, test"),
        ("b.npz,A,s,train,fast", "which is not a number"),
        ("b.npz,A,s,train,nan", "which is not a number"),
        ("b.npz,A,s,train,0", "between 1 and 240"),
        ("b.npz,A,s,train", "fewer cells"),
        ("b.npz,A,s,train,25,9", "more cells"),
        ("a.npz,B,s,dev,", "stands in line 2 already"),
        ("./a.npz,B,s,dev,", "stands in line 2 already"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(tmp_path: Path, line: str, says: str) -> None:
    root = write(tmp_path / "corpus", "a.npz,A,s,train,", line)
    (root / "empty").mkdir()
    (tmp_path / "x.npz").write_bytes(b"x")
    (root / "out.npz").symlink_to(tmp_path / "x.npz")
    (root / "outside").symlink_to(tmp_path)
    with pytest.raises(CorpusError, match=r"line 3: ") as caught:
        read_manifest(root)
    assert says in str(caught.value)
    assert "Correct or remove" in str(caught.value)


def test_all_wrong_lines_come_in_one_error(tmp_path: Path) -> None:
    write(tmp_path, "a.npz,A,s,train,", *(f"gone{i}.npz,A,s,train," for i in range(30)))
    with pytest.raises(CorpusError, match="30 lines that cannot be used") as caught:
        read_manifest(tmp_path)
    assert "line 3: " in str(caught.value)
    assert "and 18 more" in str(caught.value)


def test_a_table_without_its_columns_or_without_training_clips_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="dataset import --help"):
        read_manifest(tmp_path)
    (tmp_path / "clips.csv").write_text("clip,gloss,signer,split,frames\n0,A,s,train,30\n")
    assert corpus_kind(tmp_path) == "signs"
    with pytest.raises(CorpusError, match="lacks the columns file, glosses"):
        read_manifest(tmp_path)
    with pytest.raises(CorpusError, match="no clip of the split 'train'"):
        read_manifest(write(tmp_path, "a.npz,A,s,dev,"))
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(CorpusError, match="UTF-8"):
        read_manifest(tmp_path)


def test_an_empty_split_says_what_there_is(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, "a.npz,A,s,train,", "b.npz,A,t,test,"))
    with pytest.raises(CorpusError, match=r"'dev' .* is empty \(there are clips in: test, train\)"):
        require_split(manifest, "dev")


def test_shared_signers_and_unknown_glosses_are_warnings(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, "a.npz,A,ann,train,", "b.npz,B A,ann,dev,"))
    assert shared_signers(manifest.entries) == {"ann": ["train", "dev"]}
    unsaid, first, second = manifest.warnings
    assert "sign_language" in unsaid
    assert "ann (train+dev)" in first
    assert "1 glosses of dev never occur in train" in second
    assert second.endswith("B")


@pytest.mark.parametrize(
    ("codes", "means"),
    [(("gsg", "gsg"), "gsg"), (("", "ase"), "ase"), (("", ""), "und"), (("und", ""), "und")],
)
def test_the_sign_language_is_one_for_the_corpus(tmp_path: Path, codes: tuple[str, str], means: str) -> None:
    write(tmp_path)
    lines = [
        f"{file}.npz,A,{file},{split},,{c}\n" for file, split, c in zip("ab", ("train", "dev"), codes, strict=True)
    ]
    (tmp_path / "clips.csv").write_text(HEADER.replace("\n", ",sign_language\n") + "".join(lines))
    manifest = read_manifest(tmp_path)
    assert manifest.sign_language == means
    assert len(manifest.warnings) == (means == "und")


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (("ase", "gsg"), r"several sign languages: ase \(line 2\), gsg \(line 3\)"),
        (("ASL", "ase"), "line 2.*ISO 639-3"),
    ],
)
def test_no_or_two_sign_languages_are_refused(tmp_path: Path, codes: tuple[str, str], says: str) -> None:
    write(tmp_path)
    lines = [f"{file}.npz,A,{file},train,,{code}\n" for file, code in zip("ab", codes, strict=True)]
    (tmp_path / "clips.csv").write_text(HEADER.replace("\n", ",sign_language\n") + "".join(lines))
    with pytest.raises(CorpusError, match="(?s)" + says):
        read_manifest(tmp_path)


def test_two_parts_of_one_video_are_two_clips(tmp_path: Path) -> None:
    entries = [
        Entry("a.npz", ("A",), "s", "train", start_s=0.0, end_s=1.5),
        Entry("a.npz", ("B",), "s", "train", start_s=1.5),
    ]
    (tmp_path / "a.npz").write_bytes(b"x")
    write_manifest(tmp_path, entries, "und")
    assert list(read_manifest(tmp_path).entries) == entries


names = st.text(st.characters(codec="utf-8", exclude_characters="\\\0\r\n", exclude_categories=("Zs", "Zl", "Zp", "C")))
words = names.filter(lambda t: bool(t.strip()) and len(t.split()) == 1 and t != "-" and t.strip() == t)


@given(
    st.lists(
        st.builds(
            Entry,
            file=st.uuids().map(lambda u: f"x/{u}.npz"),
            glosses=st.lists(words, max_size=4).map(tuple),
            signer=words,
            split=st.sampled_from(["train", "dev", "test"]),
            fps=st.none() | st.integers(1, 240).map(float),
            aspect=st.none() | st.sampled_from([0.7, 1.5]),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda e: e.file,
    ),
    st.sampled_from(["und", "ase", "gsg"]),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], language: str
) -> None:
    root = tmp_path_factory.mktemp("corpus")
    entries = [Entry("t.npz", ("A",), "s", "train"), *entries]
    write_manifest(root, entries, language)
    with patch("app.training.corpora.manifest.manifest._check_file"):  # there are no files
        manifest = read_manifest(root)
    assert (list(manifest.entries), manifest.sign_language) == (entries, language)
    assert not list(root.glob("*.part"))


def test_fps_is_a_column_only_where_it_is_needed(tmp_path: Path) -> None:
    landmark_clip(tmp_path / "a.npz", fps=50.0)
    (tmp_path / "clips.csv").write_text("file,glosses,signer,split\na.npz,HELLO,ann,train\n", encoding="utf-8")
    (entry,) = read_manifest(tmp_path).entries
    assert entry.fps is None
