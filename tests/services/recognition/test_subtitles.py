"""Subtitles that a viewer has time to read."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.recogniser import GlossSegment
from app.services.recognition.subtitles import LINE, LINES, MAX_CUE_S, READING_SPEED, Cue, cues, to_srt, to_vtt


def signs(*spans: tuple[str, float, float]) -> list[GlossSegment]:
    return [GlossSegment(gloss, start, end, 0.9) for gloss, start, end in spans]


def test_a_pause_starts_a_new_caption() -> None:
    found = cues(signs(("HELLO", 0.2, 0.8), ("THANK-YOU", 1.0, 1.6), ("NAME", 4.0, 4.4)), "ase", 10.0)
    assert [(cue.start_s, cue.end_s) for cue in found] == [(0.2, 1.6), (4.0, 5.0)]
    assert "hello" in found[0].text.lower()


def test_captions_never_overlap() -> None:
    found = cues(signs(("HELLO", 0.0, 0.1), ("YOU", 1.35, 1.4), ("NAME", 2.6, 2.7)), "ase", 10.0)
    assert all(now.end_s <= later.start_s for now, later in itertools.pairwise(found))


def test_the_last_caption_begins_earlier_where_the_clip_ends() -> None:
    (only,) = cues(signs(("HELLO", 1.1, 1.4)), "ase", 1.5)
    assert (only.start_s, only.end_s) == (0.5, 1.5)
    (short,) = cues(signs(("HELLO", 0.1, 0.4)), "ase", 0.6)
    assert (short.start_s, short.end_s) == (0.0, 0.6)


def test_long_signing_is_divided_where_its_signs_are() -> None:
    run = signs(*((gloss, 0.8 * i, 0.8 * i + 0.6) for i, gloss in enumerate(["MOTHER", "WANT", "EAT", "NOW"] * 5)))
    found = cues(run, "ase", 30.0)
    assert len(found) >= 3
    starts = {sign.start_s for sign in run}
    assert all(cue.start_s in starts for cue in found)  # there is time enough to begin each with its sign


@st.composite
def clips(draw: st.DrawFn) -> tuple[list[GlossSegment], float]:
    glosses = st.sampled_from(["HELLO", "THANK-YOU", "MOTHER", "WHAT", "UNDERSTAND", "I-LOVE-YOU", "TOMORROW"])
    at, found = 0.0, []
    for _ in range(draw(st.integers(1, 40))):
        start = at + draw(st.floats(0, 2))
        at = start + draw(st.floats(0.04, 9))
        found.append(GlossSegment(draw(glosses), round(start, 3), round(at, 3), 0.5, draw(st.booleans())))
    return found, round(at + draw(st.floats(0, 3)), 3)


@given(clips())
def test_every_subtitle_can_be_read(clip: tuple[list[GlossSegment], float]) -> None:
    run, duration_s = clip
    found = cues(run, "ase", duration_s)
    assert found
    enough = sum(max(1.0, len(cue.text) / READING_SPEED) for cue in found) <= duration_s
    for cue in found:
        assert 0 <= cue.start_s < cue.end_s <= duration_s
        shown_s = cue.end_s - cue.start_s
        assert shown_s <= MAX_CUE_S + 1e-6
        lines = cue.text.split("\n")
        assert len(lines) <= LINES
        assert all(len(line) <= LINE for line in lines)
        if enough:
            assert shown_s >= max(1.0, len(cue.text) / READING_SPEED) - 1e-6
    assert all(now.end_s <= later.start_s for now, later in itertools.pairwise(found))
    assert any(sign.unsure for sign in run) == any(cue.text.endswith("[?]") for cue in found)


def test_no_signs_no_captions() -> None:
    assert cues([], "ase", 3.0) == []
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
