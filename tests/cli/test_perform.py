"""`python -m app perform`: what is signed, and the files that are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli import main
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks


def test_a_text_is_listed_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.npz"
    assert main(["perform", "My mother wants a zebra.", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines[:-1]] == ["MY", "MOTHER", "WANT", "zebra (no sign)"]
    assert float(lines[3].split()[1]) < load_landmarks(out).duration_s


def test_glosses_are_taken_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perform", "--glosses", "no yes"]) == 0
    assert capsys.readouterr().out.split()[2::3] == ["NO", "YES"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["of the"], 1, "nothing to show"),
        (["--glosses", "MOTER"], 1, "nearest: MOTHER"),
        (["x" * 501], 1, "the limit is 500"),
        (["hello", "--out", "a.gif"], 2, ".mp4"),
    ],
)
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["perform", *arguments]) == code
    assert said in capsys.readouterr().err
