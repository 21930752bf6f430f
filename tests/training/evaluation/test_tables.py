from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.pipeline.recogniser import GlossSegment
from app.training.evaluation.answers import Answer, tables
from app.training.evaluation.tables import BEGIN, END, reliability_svg, report_tables, ways_table, write_section


def sign(gloss: str, confidence: float) -> GlossSegment:
    return GlossSegment(gloss, 0.0, 0.2, confidence)


ANSWERS = [
    Answer(("HELLO", "YOU"), (sign("HELLO", 0.9), sign("NAME", 0.4)), "ann"),
    Answer(("YOU",), (sign("YOU", 0.8), sign("YOU", 0.3)), "bob"),
    Answer(("NAME",), (), "bob"),
]


def test_the_report_holds_every_table() -> None:
    text = report_tables(tables(ANSWERS))
    assert "| ann | 1 | 50.0% (S 1, D 0, I 0 of 2) |" in text
    assert "| bob | 2 | 100.0% (S 0, D 1, I 1 of 2) |" in text
    assert "| YOU | 2 | 1 | 1 | 0 | 1 |" in text
    assert "| YOU | NAME | 1 |" in text
    assert "expected calibration error" in text
    assert "50.0% of them right, mean confidence 60.0%" in text
    assert "no confidence to check" in report_tables(tables([Answer(("A",), (), "ann")]))


def test_many_confusions_are_cut_and_counted() -> None:
    many = [Answer((f"A{i}",), (sign(f"B{i}", 0.5),), "ann") for i in range(33)]
    text = report_tables(tables(many))
    assert "| 3 other pairs |  | 3 |" in text


def test_ways_stand_side_by_side_and_gaps_show() -> None:
    figures = {"wer": 0.5, "substitutions": 1, "deletions": 0, "insertions": 0, "signs": 2}
    text = ways_table("WER", {"greedy": {"all": figures, "new": figures}, "live": {"all": figures}}, ["all", "new"])
    assert text.splitlines()[0] == "| WER | all | new |"
    assert text.splitlines()[3] == "| live | 50.0% (S 1, D 0, I 0 of 2) | - |"


def test_the_reliability_plot_has_a_bar_and_a_dot_for_every_filled_bin() -> None:
    calibration = tables(ANSWERS)["calibration"]
    picture = ElementTree.fromstring(reliability_svg(calibration, "boston104 <test> & more"))
    space = "{http://www.w3.org/2000/svg}"
    bars = [r for r in picture.iter(f"{space}rect") if r.find(f"{space}title") is not None]
    assert len(bars) == len(list(picture.iter(f"{space}circle"))) == len(calibration["bins"]) == 4
    heights = [float(bar.get("height", "nan")) for bar in bars]
    assert heights == [pytest.approx(320 * row["right"], abs=0.2) for row in calibration["bins"]]
    assert "boston104 <test> & more" in "".join(picture.itertext())


def test_a_card_keeps_what_people_wrote_and_one_section_of_ours(tmp_path: Path) -> None:
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("# mine\n\nText.\n", encoding="utf-8")
    write_section(card, "first\n")
    assert card.read_text(encoding="utf-8") == f"# mine\n\nText.\n\n{BEGIN}\nfirst\n{END}\n"
    card.write_text(card.read_text(encoding="utf-8") + "\n## After\n", encoding="utf-8")
    write_section(card, "second")
    text = card.read_text(encoding="utf-8")
    assert text == f"# mine\n\nText.\n\n{BEGIN}\nsecond\n{END}\n\n## After\n"
    assert [p.name for p in tmp_path.iterdir()] == ["MODEL_CARD.md"]
    for broken in (f"x {BEGIN}", f"x {END}"):
        card.write_text(broken, encoding="utf-8")
        with pytest.raises(ValueError, match="put it back"):
            write_section(card, "third")
        assert card.read_text(encoding="utf-8") == broken
