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


@pytest.mark.parametrize(
    ("file", "half", "rows", "share"),
    [
        ("asl_everyday.tsv", "dev", 125, 0.97),
        ("asl_everyday.tsv", "held-out", 124, 0.88),
        ("asl_third_look.tsv", "third-look", 59, 0.9),
    ],
)
def test_everyday_sentences_come_out_as_one_of_their_references(
    scoring: ModuleType, file: str, half: str, rows: int, share: float
) -> None:
    table = scoring.everyday(ROOT / "tests" / "data" / file)[half]
    exact = sum(scoring.is_exact(scoring.asl_grammar(glosses), references) for glosses, references in table)
    assert len(table) == rows
    assert exact >= share * rows, f"{half}: {exact} of {rows}"


def test_misses_are_shown_for_the_half_that_rules_are_written_on(
    scoring: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.tsv"
    table.write_text("# c\ndev\tHELLO\tGood day.\ndev\tYES\tYes!\nheld-out\tNO\tNever.\n", encoding="utf-8")
    scoring.score_table(table, misses=True)
    shown = capsys.readouterr().out
    assert "dev: 1 of 2 exact" in shown
    assert "held-out: 0 of 1 exact" in shown
    assert "Good day." in shown
    assert "Never." not in shown


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
