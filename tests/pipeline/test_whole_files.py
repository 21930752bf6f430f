from __future__ import annotations

from pathlib import Path

import pytest

from app.pipeline.whole_files import whole_file, write_whole


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.b.json"
    write_whole(path, "old é")
    with whole_file(path, "7") as part:
        assert (part.parent, part.name) == (tmp_path, ".a.b.7.part.json")
        part.write_text("new")
        assert path.read_text(encoding="utf-8") == "old é"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")

    def fail() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
