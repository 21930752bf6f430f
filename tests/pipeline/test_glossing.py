"""Text to glosses: the rules one by one, and for any text an account of every word."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.glossing import Glosser
from app.signer.prototypes import load
from scripts.score_performing import DATA, own_table, shown

LETTERS = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


@pytest.fixture(scope="module")
def glosser() -> Glosser:
    return Glosser(load())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I am thirsty.", "IX-1 THIRSTY"),
        ("I'm thirsty", "IX-1 THIRSTY"),
        ("We will go to the store tomorrow.", "TOMORROW WE GO STORE"),
        ("I'm going to swim.", "IX-1 FUTURE SWIM"),
        ("He's going to the school.", "SHE GO SCHOOL"),
        ("Where's the bathroom?", "BATHROOM WHERE"),
        ("Who wants wine?", "WHO WANT WINE"),
        ("I know where you work.", "IX-1 KNOW WHERE YOU WORK"),
        ("Don't you like beer?", "YOU NOT LIKE BEER YOU"),
        ("Have you eaten the apple?", "YOU EAT APPLE FINISH YOU"),
        ("I haven't finished.", "IX-1 NOT FINISH"),
        ("We are meeting at the meeting.", "WE MEETING MEETING"),
        ("No, I don't understand.", "NO IX-1 NOT UNDERSTAND"),
        ("I woke up; she was waking up", "IX-1 WAKE-UP SHE WAKE-UP"),
        ("If you are sick, wait.", "IF YOU SICK WAIT"),
        ("I cried because the bird died", "IX-1 CRY BECAUSE BIRD DIE"),
        ("3 apples and 8 cookies", "THREE APPLE EIGHT COOKIE"),
        ("THANK YOU VERY MUCH", "THANK-YOU"),
        ("my zebra is 25", "MY zebra 25"),
        ("I'm sorry, how are you doing?", "SORRY HOW-ARE-YOU"),
        ("What did you do yesterday?", "YESTERDAY YOU do WHAT"),
        ("Why aren't you working?", "YOU NOT WORK WHY"),
    ],
)
def test_rules(glosser: Glosser, text: str, wanted: str) -> None:
    assert " ".join(shown(glosser.gloss(text))) == wanted


def test_the_table_that_was_written_first(glosser: Glosser) -> None:
    rows = list(own_table(DATA / "text_to_glosses.tsv"))
    right = sum(shown(glosser.gloss(row.english[0])) in row.rows for row in rows)
    assert len(rows) == 60
    assert right >= 58


def test_what_has_no_sign_is_spelled_where_there_are_letters() -> None:
    found = Glosser([*LETTERS, "MY", "NAME", "ONE"]).gloss("My name is Ana 1.")
    assert [item.kind for item in found.items] == ["sign", "sign", "spelled", "sign"]
    assert found.glosses == ("MY", "NAME", "A", "N", "A", "ONE")
    assert found.without_sign == ()


def test_a_word_of_a_sentence_that_is_turned_round_keeps_its_place(glosser: Glosser) -> None:
    text = "Where is my mother's car?"
    found = glosser.gloss(text)
    told = {text[word.start : word.end]: [found.items[i].text for i in word.items] for word in found.words}
    assert told == {"Where": ["WHERE"], "is": [], "my": ["MY"], "mother": ["MOTHER"], "'s": [], "car": ["CAR"]}
    assert [found.words[i].text for item in found.items for i in item.words] == ["my", "mother", "car", "Where"]


SOME = """
I you she it the a of don't can't won't is are have has had not never no what who where how many much please
and or if because going to want will last next year day tomorrow time Saturday mother water eat eaten bird 25 3
zebra É"""
WORDS = SOME.split()
MARKS = ["", ".", ",", "?", "!", " ", "\n", "-", "'", "’s", "…", "(", '"', "🙂", "\u200d", "ß", "İ"]


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(MARKS)), max_size=25) | st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_every_word_is_accounted_for(glosser: Glosser, given_: list[tuple[str, str]] | str) -> None:
    text = given_ if isinstance(given_, str) else " ".join(word + mark for word, mark in given_)
    found = glosser.gloss(text)
    places = [(word.start, word.end) for word in found.words]
    assert places == sorted(places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))
    assert all(text[word.start : word.end] == word.text for word in found.words)
    covered = {place for start, end in places for place in range(start, end)}
    assert all(place in covered for place, character in enumerate(text) if character.isalnum())
    for number, item in enumerate(found.items):
        assert all(number in found.words[i].items for i in item.words)
        assert set(item.glosses) <= set(load())
        assert (item.kind == "text") == (not item.glosses)
    for word in found.words:
        assert (word.use == "grammar") == (not word.items)
