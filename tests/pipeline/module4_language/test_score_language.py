"""The scoring script: both sides in one form, and the grammar ahead of lower-casing on the corpus itself."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("GLOSSLINE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="module")
def scoring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_language", ROOT / "scripts" / "score_language.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("However, I agree.", "however , i agree ."),
        ("the union's role .", "the union's role ."),
        ("is it 2.5?", "is it 2.5 ?"),
        ("  two  spaces ", "two spaces"),
    ],
)
def test_texts_are_brought_to_the_form_of_the_references(scoring: ModuleType, text: str, tokens: str) -> None:
    assert scoring.normalised(text) == tokens


def test_a_perfect_system_scores_a_hundred(scoring: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SYSTEMS", {"echo": lambda gloss: gloss})
    row = scoring.score(["we are very happy ."], ["We are very happy."])["echo"]
    assert (row["bleu"], row["chrf"], row["exact_percent"]) == (100, 100, 100)


def test_missing_pairs_are_named(
    scoring: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["score_language.py", "--data", str(tmp_path)])
    with pytest.raises(SystemExit):
        scoring.main()
    assert "dev.gloss" in capsys.readouterr().err


@pytest.mark.real_data
def test_the_grammar_beats_lower_casing(scoring: ModuleType) -> None:
    folder = SHARED / "data" / "aslg"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: set GLOSSLINE_SHARED to the folder with the corpora")
    glosses, english = ((folder / f"dev.{side}").read_text().splitlines()[:400] for side in ("gloss", "en"))
    results = scoring.score(glosses, english)
    plain, ours = results["lower-cased, marks stripped"], results["english_of (English order)"]
    assert ours["bleu"] > plain["bleu"] + 5
    assert ours["chrf"] > plain["chrf"]
