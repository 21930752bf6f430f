"""Glosses in English order: when they are taken for that, and what comes back of the English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.module4_language import to_english
from app.training.corpora.aslg.english_order import english_of, in_english_order


@pytest.mark.parametrize(
    ("glosses", "english"),
    [
        ("X-WE BE HAPPY .", "We are happy."),
        ("X-IT BE DESC-IMPORTANT .", "It is important."),
        ("BE X-YOU DESC-HUNGRY ?", "Are you hungry?"),
        ("X-WE HAVE SEE X-IT .", "We have seen it."),
        ("X-I WILL SUPPORT X-YOU .", "I will support you."),
        ("X-WE CAN DESC-NOT WAIT .", "We cannot wait."),
        ("X-Y WANT X-WE BOOK .", "They want our book."),
        ("COUNTRY NEED X-WE HELP .", "The country needs our help."),
        ("X-I HAVE THREE QUESTION .", "I have three questions."),
        ("X-WE WANT TO LEARN .", "We want to learn."),
        ("DESC-HOWEVER , DESC-RE BE NO MONEY .", "However, there is no money."),
        ("X-HE SPEAK WITHOUT LISTEN TO X-I .", "He speaks without listening to me."),
        ("ROLE DESC-EUROPEAN COUNTRY BE DESC-CLEAR .", "The role of european country is clear."),
        ("THIS BE WOMAN X-POSS CAR .", "This is woman's car."),
        ("WHAT DO X-YOU THINK ?", "What do you think?"),
        ("X-I BE ADOPT BY X-Y .", "I am adopted by them."),
    ],
)
def test_endings_and_small_words_come_back(glosses: str, english: str) -> None:
    assert english_of(glosses.split()) == english


@pytest.mark.parametrize("glosses", ["HELLO", "YOU NAME WHAT", "X-I", "DESC-FAR", "IX-1 STORE GO", "BOOK ?", "X-I ."])
def test_signed_order_is_left_to_the_grammar(glosses: str) -> None:
    assert not in_english_order(glosses.split())
    assert english_of(glosses.split()) == to_english(glosses.split())


WORDS = [
    "X-I",
    "X-WE",
    "X-IT",
    "BE",
    "HAVE",
    "DESC-NEW",
    "DESC-NOT",
    "X-POSS",
    "COUNTRY",
    "VOTE",
    "TO",
    "WILL",
    ",",
    ".",
    "?",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_row_is_text_or_nothing(glosses: list[str]) -> None:
    text = english_of(glosses)
    assert "  " not in text
    if text:
        assert text[0] == text[0].upper()
        assert text[-1] in ".?!"
