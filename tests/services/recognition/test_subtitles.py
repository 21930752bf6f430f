from __future__ import annotations

import itertools
import re

import pytest

from app.pipeline.recogniser import GlossSegment
from app.services.recognition.subtitles import Cue, cues, to_srt, to_vtt


def signs(*spans: tuple[str, float, float]) -> list[GlossSegment]:
    return [GlossSegment(gloss, start, end, 0.9) for gloss, start, end in spans]


def test_a_pause_starts_a_new_caption() -> None:
    found = cues(signs(("HELLO", 0.2, 0.8), ("THANK-YOU", 1.0, 1.6), ("NAME", 4.0, 4.4)), "ase")
    assert [(cue.start_s, cue.end_s) for cue in found] == [(0.2, 1.6), (4.0, 5.0)]
    assert "hello" in found[0].text.lower()


def test_captions_never_overlap() -> None:
    found = cues(signs(("HELLO", 0.0, 0.1), ("YOU", 1.35, 1.4), ("NAME", 2.6, 2.7)), "ase")
    assert all(now.end_s <= later.start_s for now, later in itertools.pairwise(found))


def test_no_signs_no_captions() -> None:
    assert cues([], "ase") == []
    assert to_srt([]) == ""
    assert to_vtt([]) == "WEBVTT\n"


def test_subrip() -> None:
    text = to_srt([Cue(0.2, 1.64, "Hello."), Cue(3661.5, 3662.0, "Thank you.")])
    assert text == ("1\n00:00:00,200 --> 00:00:01,640\nHello.\n\n2\n01:01:01,500 --> 01:01:02,000\nThank you.\n")


def test_webvtt_escapes_its_own_signs() -> None:
    text = to_vtt([Cue(0, 1, "R&B <b> -->")])
    assert text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nR&amp;B &lt;b&gt; --&gt;\n"


@pytest.mark.parametrize("seconds", [0.9996, 59.9999, 3599.9999])
def test_rounding_carries_over(seconds: float) -> None:
    text = to_vtt([Cue(0, seconds, "x")])
    assert re.search(r"--> \d\d:[0-5]\d:[0-5]\d\.\d{3}\n", text)
    assert "1000" not in text
