from __future__ import annotations

import pytest

from app.cli import main


def test_glosses_become_english_and_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grammar", "YOU", "NAME", "WHAT"]) == 0
    assert capsys.readouterr().out == "What is your name?\n"
    assert main(["grammar", "--sign-language", "ase"]) == 0
    assert "ase: " in capsys.readouterr().out
    assert main(["grammar", "--sign-language", "gsg"]) == 2
    assert "there are grammars for ase, ins" in capsys.readouterr().err
