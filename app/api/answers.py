"""A clip's answer in the form that its client asks for: JSON, or subtitles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response
from python_multipart.multipart import parse_options_header

from app.api.dependencies import services_of
from app.api.schemas.clips import Prediction
from app.services.recognition.service import ClipResult
from app.services.recognition.subtitles import Cue, cues, subtitles, to_srt, to_vtt
from app.services.speech.service import speech_errors_as_service_errors

Format = Literal["json", "srt", "vtt", "cues"]
_FORM = "Form of the answer; it may also be asked for with `Accept: text/vtt` or `application/x-subrip`."
FormatQuery = Annotated[Literal["json", "srt", "vtt"] | None, Query(description=_FORM)]
ClipFormatQuery = Annotated[
    Format | None,
    Query(description=_FORM + " cues: JSON with the subtitles as well, `cues`: a list of {start_s, end_s, text}."),
]
Language = Literal["en", "es"]
LanguageQuery = Annotated[Language, Query(description="Of subtitles; JSON has all languages in `text`.")]
_SUBTITLES: dict[str, Format] = {"application/x-subrip": "srt", "text/vtt": "vtt"}
_MEDIA_TYPES: dict[str, Format] = {"application/json": "json", "*/*": "json", **_SUBTITLES}

_EXAMPLE = "00:00:00{mark}320 --> 00:00:03{mark}200\nHello, how are you?\n"
#: The answers other than JSON, for the OpenAPI document.
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/vtt": {"schema": {"type": "string"}, "example": "WEBVTT\n\n" + _EXAMPLE.format(mark=".")},
            "application/x-subrip": {"schema": {"type": "string"}, "example": "1\n" + _EXAMPLE.format(mark=",")},
        }
    }
}


async def answer(
    request: Request, outcome: ClipResult, asked: Format | None, language: Language = "en"
) -> Prediction | Response:
    """asked: the form that the query names; without it, the header Accept decides. language: of subtitles. Raises
    SpeechUnavailable or SpeechFailed for subtitles that have to be translated."""
    wanted = form(request, asked)
    if wanted == "json":
        return Prediction.of(outcome)
    translate = str if language == "en" else services_of(request.scope).speech.to_spanish()
    caption = outcome.caption
    if wanted == "cues":

        def find() -> list[Cue]:
            with speech_errors_as_service_errors():
                return cues(caption.signs, outcome.sign_language, caption.duration_s, translate)

        found = await asyncio.to_thread(find)
        return JSONResponse({**Prediction.of(outcome).model_dump(mode="json"), "cues": [asdict(cue) for cue in found]})

    def write() -> str:
        with speech_errors_as_service_errors():
            return subtitles(caption, outcome.sign_language, wanted, translate)

    return _subtitles(await asyncio.to_thread(write), wanted)


def as_subtitles(found: Sequence[Cue], wanted: Literal["srt", "vtt"]) -> Response:
    return _subtitles(to_srt(found) if wanted == "srt" else to_vtt(found), wanted)


def _subtitles(text: str, wanted: Format) -> Response:
    media_type = next(media for media, named in _SUBTITLES.items() if named == wanted)
    return Response(text, headers={"content-type": f"{media_type}; charset=utf-8"})


def form(request: Request, asked: Format | None) -> Format:
    """The form of the answer; asked: as for `answer`."""
    return asked or _accepted(request.headers.get("accept", ""))


def _accepted(header: str) -> Format:
    """The form that a header Accept prefers; JSON where it names none of them."""
    best: tuple[float, Format] = (0.0, "json")
    for part in header.split(","):
        media, options = parse_options_header(part.strip())
        named = _MEDIA_TYPES.get(media.decode("latin-1"))
        try:
            weight = float(options.get(b"q", b"1"))
        except ValueError:
            continue
        if named is not None and weight > best[0]:
            best = weight, named
    return best[1]
