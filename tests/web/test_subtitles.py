"""The subtitles that the page saves can be read, as those of the service can."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.services.recognition.subtitles import LINE, LINES, MAX_CUE_S, READING_SPEED

SCRIPT = Path(__file__).resolve().parents[2] / "app/web/subtitles.js"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="the page's script needs Node.js to run outside a browser")


def run(call: str, *arguments: Any) -> Any:
    """What a function of the script returns."""
    code = (
        f"import {{ cues, subtitles }} from {json.dumps(SCRIPT.as_uri())};\n"
        f"console.log(JSON.stringify({call}(...{json.dumps(arguments)})));"
    )
    command = [str(NODE), "--input-type=module", "-e", code]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout)


def line(start_ms: int, end_ms: int, sentence: str, *unsure: str) -> dict[str, Any]:
    return {"start_ms": start_ms, "end_ms": end_ms, "sentence": sentence, "unsure": unsure}


LONG = "My mother wants to eat an apple tomorrow morning, and " * 6 + "so do I."
SAID = [
    line(200, 500, "Hello."),
    line(900, 1100, "Thank you very much."),
    line(1300, 9800, LONG, "APPLE"),
    line(10_000, 40_000, "What is your name?"),
    line(41_000, 41_040, "x" * 100),
    line(90_000, 90_400, "Yes & <no>."),
]


def test_every_subtitle_of_the_page_can_be_read() -> None:
    found = run("cues", SAID)
    assert len(found) > len(SAID)
    for cue in found:
        shown_s = (cue["end_ms"] - cue["start_ms"]) / 1000
        assert min(MAX_CUE_S, max(1.0, len(cue["text"]) / READING_SPEED)) - 1e-6 <= shown_s <= MAX_CUE_S
        lines = cue["text"].split("\n")
        assert 1 <= len(lines) <= LINES
        assert all(0 < len(text) <= LINE for text in lines)
    assert all(now["end_ms"] <= later["start_ms"] for now, later in itertools.pairwise(found))
    assert found[0] == {"start_ms": 200, "end_ms": 1200, "text": "Hello."}
    assert found[-1]["start_ms"] == 90_000
    read = " ".join(cue["text"].replace("\n", " ") for cue in found)
    assert read.replace(" ", "") == "".join(
        one["sentence"] + ("\N{NO-BREAK SPACE}[?]" if one["unsure"] else "") for one in SAID
    ).replace(" ", "")


def test_files_are_as_their_formats_require() -> None:
    assert run("subtitles", SAID[-1:], "srt") == "1\n00:01:30,000 --> 00:01:31,000\nYes & <no>.\n"
    escaped = "WEBVTT\n\n00:01:30.000 --> 00:01:31.000\nYes &amp; &lt;no&gt;.\n"
    assert run("subtitles", SAID[-1:], "vtt") == escaped
    assert run("subtitles", [], "srt") == ""
