"""Every text of the caption page and of the pages around it is there in Spanish."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "app/web"
ATTRIBUTES = ("aria-label", "placeholder", "title", "alt")
#: Names, and what is filled in later.
SAME = {"Glossline", "–", "…", "✕", "English", "OpenAPI", "AsyncAPI", "glossline.js"}
VOID = {"meta", "link", "img", "input", "path", "rect", "circle", "br"}
#: The training page is for operators and English; the others hold the texts, or none.
ENGLISH = {"training.js", "chart.js", "texts_es.js", "texts_es_teach.js", "texts_es_developers.js", "texts.js"}


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
    table = "".join((WEB / name).read_text() for name in ("texts_es.js", "texts_es_teach.js", "texts_es_developers.js"))
    return dict(re.findall(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"', table))


@pytest.mark.parametrize("page", ["index.html", "captions.html", "account.html", "teach.html", "developers.html"])
def test_pages(page: str) -> None:
    texts = Texts()
    texts.feed((WEB / page).read_text())
    assert texts.found - SAME - set(spanish()) == set()


@pytest.mark.parametrize("script", sorted({path.name for path in WEB.glob("*.js")} - ENGLISH))
def test_scripts(script: str) -> None:
    source = (WEB / script).read_text()
    used = set(re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', source))
    used |= set(re.findall(r'^  \w+: "((?:[^"\\]|\\.)*)",$', source, re.M)) if script == "teach.js" else set()
    used |= {text for pair in re.findall(r'plural\([^"]*"([^"]*)", "([^"]*)"\)', source) for text in pair}
    assert used - set(spanish()) == set()


def test_values_are_those_of_the_english() -> None:
    for english, text in spanish().items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", text)), english
