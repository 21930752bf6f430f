from __future__ import annotations

from pathlib import Path

import pytest

from app.core.names import UnknownDataset, dataset_names, find_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("signs", "phoenix-2014"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "clips.csv").write_text("file\n")
    (tmp_path / "root" / "notes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "clips.csv").write_text("file\n")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "twin").symlink_to(tmp_path / "root" / "signs")
    return tmp_path / "root"


def test_a_dataset_is_found_by_its_name(root: Path) -> None:
    assert dataset_names(root) == ["phoenix-2014", "signs"]
    assert find_dataset(root, "signs") == root / "signs"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(root)
    assert find_dataset(tmp_path / "shortcut", "signs") == tmp_path / "shortcut" / "signs"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../elsewhere", "/etc", "signs/..", "signs/", "a\\b", ".hidden", "x" * 65, "signs\n", "a\0b", "~"],
)
def test_a_path_is_never_a_name(root: Path, name: str) -> None:
    with pytest.raises(UnknownDataset, match="no dataset name"):
        find_dataset(root, name)


@pytest.mark.parametrize("name", ["linked", "twin", "notes", "nowhere"])
def test_what_is_not_a_real_dataset_folder_is_unknown_and_the_others_are_named(root: Path, name: str) -> None:
    with pytest.raises(UnknownDataset, match="there are: phoenix-2014, signs"):
        find_dataset(root, name)


def test_a_missing_root_has_no_datasets(tmp_path: Path) -> None:
    assert dataset_names(tmp_path / "nowhere") == []
    with pytest.raises(UnknownDataset, match="there is none yet"):
        find_dataset(tmp_path / "nowhere", "signs")
