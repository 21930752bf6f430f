"""Every text of the caption page and of the pages around it is there in Spanish; every colour is a design token."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from app.api.schemas.training import State
from app.core.errors import all_errors

WEB = Path(__file__).resolve().parents[2] / "app/web"
ATTRIBUTES = ("aria-label", "placeholder", "title", "alt")
#: Names, and what is filled in later.
SAME = {"Glossline", "–", "…", "✕", "English", "OpenAPI", "AsyncAPI", "glossline.js"}
VOID = {"meta", "link", "img", "input", "path", "rect", "circle", "br"}
#: They hold the texts.
TABLES = {"texts_es.js", "texts_es_teach.js", "texts_es_developers.js", "texts_es_training.js", "texts_es_talk.js"}


class Texts(HTMLParser):
    """The texts of a page, but for those with a language of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._left_out: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            own = tag in ("script", "code", "style") or ("lang" in given and tag != "html")
            self._left_out.append(own or any(self._left_out))
        if not any(self._left_out):
            self.found |= {text for name in ATTRIBUTES if (text := given.get(name))}

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self._left_out.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(self._left_out):
            self.found.add(data.strip())


def spanish() -> dict[str, str]:
    table = "".join((WEB / name).read_text() for name in sorted(TABLES))
    return dict(re.findall(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"', table))


@pytest.mark.parametrize(
    "page",
    [
        "index.html",
        "conversation.html",
        "captions.html",
        "account.html",
        "teach.html",
        "developers.html",
        "training.html",
    ],
)
def test_pages(page: str) -> None:
    texts = Texts()
    texts.feed((WEB / page).read_text())
    assert texts.found - SAME - set(spanish()) == set()


@pytest.mark.parametrize("script", sorted({path.name for path in WEB.glob("*.js")} - TABLES))
def test_scripts(script: str) -> None:
    source = (WEB / script).read_text()
    used = set(re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', source))
    used |= (
        set(re.findall(r'^  \w+: "((?:[^"\\]|\\.)*)",$', source, re.M))
        if script in ("teach.js", "teach_mirror.js", "developers.js")
        else set()
    )
    used |= {text for pair in re.findall(r'plural\([^"]*"([^"]*)", "([^"]*)"\)', source) for text in pair}
    assert used - set(spanish()) == set()


def test_states_of_jobs() -> None:
    assert set(get_args(State)) - set(spanish()) == set()


def test_values_are_those_of_the_english() -> None:
    for english, text in spanish().items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", text)), english


def problems() -> dict[str, tuple[str, str]]:
    source = (WEB / "problem_texts_es.js").read_text()
    return {code: (title, text) for code, title, text in re.findall(r'^  (\w+): \["(.+?)", "(.+)"\],$', source, re.M)}


def test_problems_that_people_meet_are_there_in_spanish() -> None:
    warnings = {"credits_low", "not_available", "not_saved", "no_translation", "no_voice", "voice_late"}
    known = {kind.code for kind in all_errors()} | warnings
    assert set(problems()) - known == set()
    of_programs = {
        *(
            "invalid_signature",
            "malformed_message",
            "malformed_request",
            "unknown_type",
            "not_found",
            "unknown_checkpoint",
        ),
        *("unknown_config", "unknown_dataset", "unknown_job", "unknown_session", "method_not_allowed", "bad_start"),
        *("idempotency_in_progress", "idempotency_mismatch", "bad_timestamp", "invalid_frame", "invalid_frames"),
        *("invalid_landmarks", "invalid_message", "too_big"),
    }
    assert known - set(problems()) - of_programs == set()


def test_colours_are_design_tokens() -> None:
    """Only tokens.css names colours, so that light, dark and forced colours are decided in one place."""
    colour = re.compile(r":[^;{}]*(#[0-9a-fA-F]{3,8}\b|\b(?:rgb|rgba|hsl|oklch)\()[^;{}]*[;}]")
    found = {
        path.name: [
            match.group(0).strip() for match in colour.finditer(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S))
        ]
        for path in sorted(WEB.glob("*.css"))
        if path.name != "tokens.css"
    }
    assert {name: values for name, values in found.items() if values} == {}


def test_what_engines_of_speech_lack_is_there_in_spanish() -> None:
    """As `engineWords` of problem_texts.js says it."""
    sources = "".join(path.read_text() for path in (WEB.parent / "speech").rglob("*.py"))
    details = set(re.findall(r'Availability\(\s*False, "([^"]+)"', sources))
    assert len(details) > 5
    assert details - set(spanish()) == {"The packages with Whisper base are not installed."}  # raised, never listed
