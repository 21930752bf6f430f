"""Apertium's programs, kept alive: they answer text with text, whatever it holds, and are replaced when they die."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.speech.engines import EngineFailed, EngineMissing, UnsupportedLanguage
from app.speech.programs import Pipeline
from app.speech.translation.apertium import Apertium
from tests.support.speech import need


@pytest.fixture(scope="module")
def apertium() -> Iterator[Apertium]:
    engine = Apertium()
    need(engine)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("source", "target", "text", "translation"),
    [
        ("en", "es", "I have two sisters and one brother.", "Tengo dos hermanas y un hermano."),
        ("en", "es", "no end mark", "Ninguna marca de fin"),
        ("en", "es", "The restaurant is expensive. I can't pay.", "El restaurante es caro. No puedo pagar."),
        ("es", "en", "Tengo hambre.", "I am hungry."),
        ("es", "es", "Igual.", "Igual."),
        ("en", "es", "", ""),
        ("en", "es", "\x00\x1b \u200b", ""),
    ],
)
def test_sentences(apertium: Apertium, source: str, target: str, text: str, translation: str) -> None:
    assert apertium.translate(text, source, target) == translation


@pytest.mark.parametrize(
    "text",
    ["a [b] ^c/d$ <x> {y} \\ @z", "]]] [[[ \\", "^^^$$$", "$(id) `id`; & | > x", "[]\x00[][\n]", "\\\\\\", "..[]"],
)
def test_reserved_characters_are_text(apertium: Apertium, text: str) -> None:
    answer = apertium.translate(text, "en", "es")
    for character in "[]^$<>{}\\@;|&`":
        assert answer.count(character) == text.count(character), answer
    assert apertium.translate("I am from Mexico.", "en", "es") == "Soy de México."  # the next text is not affected


def test_a_long_text_does_not_fill_the_pipes(apertium: Apertium) -> None:
    answer = apertium.translate("I have two sisters. " * 300, "en", "es")
    assert answer.count("Tengo dos hermanas.") == 300
    assert len(apertium.translate("word " * 1000, "en", "es").split()) > 900


@pytest.mark.parametrize("place", [0, 3, -1])
def test_dead_programs_are_replaced(apertium: Apertium, place: int) -> None:
    apertium.translate("I am from Mexico.", "en", "es")
    before = apertium._running["en", "es"].pids
    os.kill(before[place], signal.SIGKILL)
    assert apertium.translate("I have two sisters.", "en", "es") == "Tengo dos hermanas."
    assert set(before).isdisjoint(apertium._running["en", "es"].pids)


def test_texts_of_many_threads_are_not_mixed_up(apertium: Apertium) -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        for _ in range(20):
            answer = apertium.translate(f"I have {number} dogs.", "en", "es")
            if answer != f"Tengo {number} perros.":
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="apt-get install apertium-eng-spa"):
        Apertium(tmp_path).translate("x", "en", "es")
    with pytest.raises(UnsupportedLanguage):
        Apertium().translate("x", "en", "fr")


def test_a_program_that_hangs_or_talks_without_end_is_ended() -> None:
    for command in (["sleep", "60"], ["yes"]):
        pipeline = Pipeline([command])
        with pytest.raises(EngineFailed):
            pipeline.ask(b"x", 0.5)
        assert not pipeline.alive
        assert all(process.poll() is not None for process in pipeline._processes)
    with pytest.raises(EngineFailed, match="cannot be started"):
        Pipeline([["cat"], ["/no/such/program"]])
