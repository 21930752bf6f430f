from __future__ import annotations

from pathlib import Path

import pytest

from app.core.ids import NAME, config_names, dataset_names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("signs", "phoenix-2014", ".hidden", "with blank"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "clips.csv").write_text("file\n")
    (tmp_path / "root" / "notes").mkdir()
    (tmp_path / "root" / "both" / "wlasl").mkdir(parents=True)
    (tmp_path / "root" / "both" / "wlasl" / "clips.csv").touch()
    for name in ("tiny.yaml", "large.v2.yaml", "notes.txt", "-x.yaml"):
        (tmp_path / "root" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "clips.csv").write_text("file\n")
    (tmp_path / "elsewhere" / "secret.yaml").touch()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "linked.yaml").symlink_to(tmp_path / "elsewhere" / "secret.yaml")
    (tmp_path / "root" / "twin").symlink_to(tmp_path / "root" / "signs")
    return tmp_path / "root"


def test_what_has_a_name_and_lies_in_the_folder_counts(root: Path) -> None:
    assert dataset_names(root) == ["both", "phoenix-2014", "signs"]
    assert config_names(root) == ["large.v2", "tiny"]


def test_the_root_itself_may_be_a_link_and_may_be_missing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(root)
    assert dataset_names(tmp_path / "shortcut") == dataset_names(root)
    assert dataset_names(tmp_path / "nowhere") == config_names(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../elsewhere", "/etc", "signs/..", "signs/", "a\\b", ".hidden", "x" * 65, "signs\n", "a\0b", "~"],
)
def test_a_path_is_never_a_name(name: str) -> None:
    assert not NAME.fullmatch(name)
