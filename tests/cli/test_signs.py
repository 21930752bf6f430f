from __future__ import annotations

from pathlib import Path

import pytest

from app.cli import main
from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, Keypoints
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from tests.support.recognisers import performance


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    """Two recordings of one sign, and one without hands."""
    paths = []
    for number in range(3):
        points = performance(40, 21)
        points[[0, 1, -2, -1], LEFT_HAND.start :] = 0
        if number == 2:
            points[:, LEFT_HAND] = points[:, RIGHT_HAND] = 0
        else:
            points[..., 0] += number * 0.01
        path = tmp_path / f"{number}.npz"
        save_npz(path, Keypoints.at_rate(points, 25))
        paths.append(str(path))
    return paths


def test_a_sign_is_taught_listed_read_exported_and_deleted(
    tiny_checkpoints: Path,
    database_url: str,
    tmp_path: Path,
    clips: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(tiny_checkpoints),
        "DEVICE": "cpu",
        "DATABASE_URL": database_url,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert main(["signs", "teach", "Grandma", *clips[:2], "--set", "Family", "--sign-language", "bfi"]) == 0
    assert "GRANDMA: 2 recordings in 'Family'" in capsys.readouterr().out
    assert main(["signs", "teach", "Garden", clips[2], "--set", "Family"]) == 1
    assert "No hand was found" in capsys.readouterr().err
    assert main(["signs", "list"]) == 0
    listed = capsys.readouterr().out
    assert "Family (bfi, 1 signs, 2 recordings)" in listed
    assert "GARDEN" not in listed
    assert main(["caption", "--signs", "family", clips[0]]) == 0
    assert "GRANDMA" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["signs"])
    assert main(["caption", "--signs", "Nobody", clips[0]]) == 2
    assert "there are: 'Family'" in capsys.readouterr().err
    file = tmp_path / "family.json"
    assert main(["signs", "export", "Family", str(file)]) == 0
    assert main(["signs", "delete", "Family"]) == 0
    assert main(["signs", "import", str(file)]) == 0
    assert main(["signs", "delete", "Family", "--sign", "grandma"]) == 0
    file.write_bytes(file.read_bytes()[:-9])
    assert main(["signs", "import", str(file)]) == 1
    assert "cut short" in capsys.readouterr().err
