"""The sentence tables, written before the rules, and what holds for any input at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module4_language import to_english
from app.pipeline.module4_language.gloss_rules import readable

DATA = Path(__file__).parents[2] / "data"
SECOND_LOOK = Path(__file__).with_name("asl_second_look.tsv")
LARGE = Path(__file__).parents[3] / "checkpoints" / "asl-large" / "config.json"
TABLES = (DATA / "asl_sentences.tsv", DATA / "isl_sentences.tsv", SECOND_LOOK)


def table(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(gloss, english) for gloss, english in (line.split("\t") for line in lines if line and line[0] != "#")]


@pytest.mark.parametrize(
    ("path", "language", "at_least"),
    [
        pytest.param(DATA / "asl_sentences.tsv", "ase", 60, id="asl"),
        pytest.param(DATA / "isl_sentences.tsv", "ins", 25, id="isl"),
        pytest.param(SECOND_LOOK, "ase", 100, id="asl-second-look"),
    ],
)
def test_the_table_comes_out_as_written(path: Path, language: str, at_least: int) -> None:
    rows = table(path)
    wrong = [
        f"{gloss}: {actual!r}, not {english!r}"
        for gloss, english in rows
        if (actual := to_english(gloss.split(), language)) != english
    ]
    print(f"{path.name}: {len(rows) - len(wrong)} of {len(rows)} exactly as written", *wrong, sep="\n")
    assert len(rows) >= at_least
    assert len(rows) - len(wrong) >= 0.95 * len(rows), "\n".join(wrong)


VOCABULARY = json.loads(LARGE.read_text(encoding="utf-8"))["vocabulary"]
GLOSSES = sorted({sign for path in TABLES for gloss, _ in table(path) for sign in gloss.split()} | set(VOCABULARY))
LANGUAGES = st.sampled_from(["ase", "ins"])


def assert_well_formed(text: str) -> None:
    assert "  " not in text
    assert text == text.strip()
    assert not re.search(r"(^|\s)-|-(\s|$|[.?!,])|\s[,.?!]|,[.?!]", text), text
    assert text[0] == text[0].upper()
    assert text[-1] in ".?!"


@given(st.lists(st.sampled_from(GLOSSES), min_size=1, max_size=10), LANGUAGES)
def test_any_row_of_signs_is_a_well_formed_text(glosses: list[str], language: str) -> None:
    text = to_english(glosses, language)
    if any(any(c.isalnum() for c in gloss) and gloss != "Q" for gloss in glosses):
        assert_well_formed(text)


@given(st.lists(st.text(max_size=12), max_size=8), LANGUAGES)
def test_any_strings_at_all_never_raise(glosses: list[str], language: str) -> None:
    text = to_english(glosses, language)
    if text:
        assert_well_formed(text)


@given(
    st.lists(st.from_regex(r"[A-Z]{1,6}([-+#?'][A-Z]{0,4}){0,2}", fullmatch=True), min_size=1, max_size=5), LANGUAGES
)
def test_things_that_look_like_glosses_never_raise(glosses: list[str], language: str) -> None:
    text = to_english(glosses, language)
    if text:
        assert_well_formed(text)


@pytest.mark.parametrize("empty", [[], [""], ["", "  "], ["-"], ["?"], ["\x00"]])
def test_nothing_said_is_an_empty_text(empty: list[str]) -> None:
    assert to_english(empty) == ""


@pytest.mark.parametrize(
    ("gloss", "english"),
    [
        ("ICE-CREAM", "Ice cream."),
        ("DESC-FAR", "Far."),
        ("X-I", "I."),
        ("X-WE", "We."),
        ("#BANK", "Bank."),
        ("GLORP", "Glorp."),
        ("-ODD--ONE-", "Odd one."),
        ("IF", "If."),
        ("hello", "Hello."),
        ("naïve", "Naïve."),
    ],
)
def test_any_single_gloss_is_readable(gloss: str, english: str) -> None:
    assert to_english([gloss]) == english


def test_every_sign_alone_is_its_gloss_or_what_was_read_and_written_down() -> None:
    special = dict(table(Path(__file__).with_name("single_signs.tsv")))
    wrong = {
        gloss: english
        for gloss in VOCABULARY
        if (english := to_english([gloss])) != special.get(gloss, f"{readable(gloss).capitalize()}.")
    }
    assert not wrong
    for gloss in set(GLOSSES) - {"Q", "?"}:
        assert_well_formed(to_english([gloss]))


def test_no_sign_is_lost_after_a_pronoun() -> None:
    joiners = {"SHE", "AND", "OR"}
    texts = {gloss: to_english(["SHE", gloss]) for gloss in VOCABULARY if gloss not in joiners}
    assert [gloss for gloss, english in texts.items() if english in ("She.", "She is.")] == []
