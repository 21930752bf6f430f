"""What clients ask for becomes a recogniser, or an error that says what would do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.core.errors import Close, UnknownVocabulary
from app.pipeline.recogniser import Recogniser
from app.services.recognition.vocabularies import from_text, reading_with
from tests.conftest import GLOSSES, VOCABULARIES


@pytest.fixture(scope="module")
def recogniser(vocabulary_checkpoints: Path) -> Recogniser:
    return Recogniser.load(vocabulary_checkpoints / "tiny")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("everyday", "everyday"),
        (" core ", "core"),
        ("HELLO", ["HELLO"]),
        ("thank you,YOU", ["thank you", "YOU"]),
        ("HELLO,", ["HELLO"]),
        (",", []),
        ("", ""),
    ],
)
def test_names_and_glosses_are_told_apart(text: str, asked: str | list[str]) -> None:
    assert from_text(text) == asked


@pytest.mark.asyncio
async def test_a_name_a_list_and_the_default(recogniser: Recogniser) -> None:
    assert (await reading_with(recogniser, None)).reads == "everyday"
    core = await reading_with(recogniser, "core")
    assert (core.reads, core.vocabulary) == ("core", VOCABULARIES["core"])
    own = await reading_with(core, ["what", "thank you"])  # also of one that reads with fewer
    assert (own.reads, own.vocabulary) == ("custom", ("THANK-YOU", "WHAT"))
    assert (await reading_with(own, "all")).vocabulary == GLOSSES


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("evryday", "There is no vocabulary 'evryday', but all, core, everyday; did you mean 'everyday'"),
        ("", "There is no vocabulary ''"),
        ([], "The list of glosses is empty"),
        (["HELLO", "NAMES"], r"does not know NAMES \(nearest: NAME\)"),
        (["HELLO"] * 10_000, "more than 5000 glosses"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_read_with(recogniser: Recogniser, asked: str | list[str], says: str) -> None:
    with pytest.raises(UnknownVocabulary, match=says) as refused:
        await reading_with(recogniser, asked)
    assert "GET /api/vocabularies" in refused.value.detail
    assert (refused.value.status, refused.value.close) == (422, Close.BAD_START)


@pytest.mark.asyncio
async def test_lists_are_not_searched_on_the_event_loop(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    resolve = Recogniser.reading_with

    def noted(self: Recogniser, wanted: str | list[str] | None = None) -> Recogniser:
        threads.append(threading.current_thread().name)
        return resolve(self, wanted)

    monkeypatch.setattr(Recogniser, "reading_with", noted)
    await reading_with(recogniser, ["HELLO"])
    await reading_with(recogniser, "core")
    assert threads[0].startswith("vocabulary")
    assert threads[1] == threading.current_thread().name
