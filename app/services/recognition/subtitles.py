"""Recognised signs as subtitles: captions split at pauses, written as SubRip or WebVTT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.pipeline.module4_language import to_english
from app.pipeline.recogniser import GlossSegment

#: Seconds of pause that end a caption, as they end a sentence in live captions.
PAUSE_S = 1.2
#: Seconds that a caption is shown at least.
MIN_CUE_S = 1.0


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start_s: float
    end_s: float
    text: str


def cues(segments: Sequence[GlossSegment], sign_language: str) -> list[Cue]:
    """One cue per run of signs without a pause; cues never overlap."""
    groups: list[list[GlossSegment]] = []
    for segment in segments:
        if groups and segment.start_s - groups[-1][-1].end_s < PAUSE_S:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    result = []
    for index, group in enumerate(groups):
        latest = groups[index + 1][0].start_s if index + 1 < len(groups) else float("inf")
        end_s = min(max(group[-1].end_s, group[0].start_s + MIN_CUE_S), latest)
        result.append(Cue(group[0].start_s, end_s, to_english([segment.gloss for segment in group], sign_language)))
    return result


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
