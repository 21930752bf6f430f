"""Recognised signs as subtitles that a viewer has time to read, written as SubRip or WebVTT."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.pipeline.caption import Caption
from app.pipeline.module4_language import to_english
from app.pipeline.recogniser import GlossSegment

#: Seconds of pause that end a subtitle, as they end a sentence in live captions.
PAUSE_S = 1.2
#: Seconds that a subtitle is shown, at least (where the clip is long enough) and at most.
MIN_CUE_S, MAX_CUE_S = 1.0, 7.0
#: Characters of a line, lines of a subtitle, and characters that viewers read in a second.
LINE, LINES, READING_SPEED = 42, 2, 17.0
#: Behind a subtitle with a sign that the recogniser is unsure of, as in transcripts; never on a line of its own.
UNSURE = "\N{NO-BREAK SPACE}[?]"


Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start_s: float
    end_s: float
    text: str
    """At most LINES lines of at most LINE characters."""


def cues(signs: Sequence[GlossSegment], sign_language: str, duration_s: float, translate: Translate = str) -> list[Cue]:
    """Subtitles of a clip of this duration, in order; they never overlap and end with the clip. translate: from
    English.

    A pause begins another one, and so does what would be too long to read or to stay. Where reading takes longer than
    signing, a subtitle stays longer and the next ones begin later; at the end of the clip they begin earlier.
    """
    found = [
        (part[0].start_s, part[-1].end_s, text)
        for run in runs(signs)
        for part, text in _readable(run, sign_language, translate)
        if text
    ]
    if not found:
        return []
    spans = _spread([(start, end) for start, end, _ in found], [_needed(text) for *_, text in found], duration_s)
    return [Cue(start, end, text) for (start, end), (*_, text) in zip(spans, found, strict=True)]


def runs(signs: Sequence[GlossSegment]) -> list[list[GlossSegment]]:
    """Signs without a pause between them."""
    runs: list[list[GlossSegment]] = []
    for sign in signs:
        if runs and sign.start_s - runs[-1][-1].end_s < PAUSE_S:
            runs[-1].append(sign)
        else:
            runs.append([sign])
    return runs


def _readable(
    run: list[GlossSegment], sign_language: str, translate: Translate
) -> list[tuple[list[GlossSegment], str]]:
    """The run with its text; halved where its text or its time is too much for one subtitle."""
    text = translate(to_english([sign.gloss for sign in run], sign_language))
    lines = _lines(text + UNSURE if any(sign.unsure for sign in run) else text)
    if len(run) == 1 or (len(lines) <= LINES and run[-1].end_s - run[0].start_s <= MAX_CUE_S):
        return [(run, "\n".join(lines[:LINES]))]
    middle_s = (run[0].start_s + run[-1].end_s) / 2
    half = min(range(1, len(run)), key=lambda at: abs((run[at - 1].end_s + run[at].start_s) / 2 - middle_s))
    return [*_readable(run[:half], sign_language, translate), *_readable(run[half:], sign_language, translate)]


def _lines(text: str) -> list[str]:
    """The text in as few lines as it takes, of about the same length."""
    lines = textwrap.wrap(text, LINE)
    widths = range(math.ceil(len(text) / len(lines)), LINE) if lines else range(0)
    return next((even for width in widths if len(even := textwrap.wrap(text, width)) == len(lines)), lines)


def _needed(text: str) -> float:
    """Seconds to read it."""
    return min(MAX_CUE_S, max(MIN_CUE_S, len(text) / READING_SPEED))


def _spread(signed: list[tuple[float, float]], needed: list[float], duration_s: float) -> list[tuple[float, float]]:
    """When each subtitle is shown, given when its signs are and how many seconds it needs. All of them get less where
    the clip is too short for what they need."""
    share = min(1.0, duration_s / sum(needed))
    needed = [seconds * share for seconds in needed]
    shown: list[tuple[float, float]] = []
    free_s = 0.0
    for (start, end), seconds in zip(signed, needed, strict=True):
        start = max(start, free_s)
        free_s = min(max(end, start + seconds), start + MAX_CUE_S)
        shown.append((start, free_s))
    latest_s = duration_s
    for at in range(len(shown) - 1, -1, -1):
        end = min(shown[at][1], latest_s)
        latest_s = max(0.0, min(shown[at][0], end - needed[at]))
        shown[at] = latest_s, end
    return shown


def subtitles(caption: Caption, sign_language: str, form: Literal["srt", "vtt"], translate: Translate = str) -> str:
    """The subtitles of a clip as SubRip or WebVTT. translate: from English."""
    write = to_srt if form == "srt" else to_vtt
    return write(cues(caption.signs, sign_language, caption.duration_s, translate))


def sentence_cues(sentences: Sequence[tuple[float, float, str]], duration_s: float) -> list[Cue]:
    """Subtitles of sentences, each with its start and end in seconds; one that is too long for a subtitle is shown in
    parts, each for its share of the time."""
    found: list[tuple[float, float, str]] = []
    for start_s, end_s, text in sentences:
        lines = _lines(text)
        parts = ["\n".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
        per_character_s = (end_s - start_s) / max(1, sum(map(len, parts)))
        for part in parts:
            until_s = start_s + per_character_s * len(part)
            found.append((start_s, until_s, part))
            start_s = until_s
    if not found:
        return []
    last_s = max(duration_s, found[-1][1], MIN_CUE_S)
    spans = _spread([(start, end) for start, end, _ in found], [_needed(text) for *_, text in found], last_s)
    return [Cue(start, end, text) for (start, end), (*_, text) in zip(spans, found, strict=True)]


def _clock(seconds: float, decimal_mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, milliseconds = divmod(milliseconds, 3_600_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{milliseconds:03}"


def to_srt(captions: Sequence[Cue]) -> str:
    """SubRip; an empty string without captions."""
    return "\n".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{cue.text}\n"
        for number, cue in enumerate(captions, start=1)
    )


def to_vtt(captions: Sequence[Cue]) -> str:
    """WebVTT (W3C); the text is escaped as the format requires."""
    parts = ["WEBVTT\n"]
    for cue in captions:
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts.append(f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{text}\n")
    return "\n".join(parts)
