"""Speech over HTTP: audio to text, text to the other language, text to sound; and under OpenAI's names too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from app.api.access import CurrentPrincipal, OpenAIPrincipal, needs
from app.api.dependencies import ServicesDep, UploadsDep
from app.api.inference import unless_gone
from app.api.payment import IdempotencyKey, Payment, idempotency_header, payment
from app.api.problems import responses
from app.api.schemas.speech import (
    EngineEntry,
    EngineList,
    Language,
    OpenAISpeechRequest,
    OwnVoiceInfo,
    SynthesiseRequest,
    Transcription,
    TranslateRequest,
    Translation,
)
from app.api.streamed import begun
from app.api.uploads import Upload, check_form, receive_file
from app.core import errors
from app.db.models.voices import OwnVoice
from app.services.billing import limits
from app.services.billing.idempotency import Answer
from app.services.container import Services
from app.services.recognition.subtitles import Cue, to_srt, to_vtt
from app.services.speech.own_voices import CONSENT, NO_DATABASE, OwnVoices
from app.services.speech.service import checked_text
from app.speech import audio, text
from app.speech.engines import Passage, Transcript

router = APIRouter(tags=["speech"])
_guarded = [needs("captions")]
PREFIX, ALIASES = "/api/speech", "/v1/audio"
VOICE = f"{PREFIX}/voice"
#: Bytes of a JSON body.
MAX_JSON = 256 << 10
#: Bytes of a sample of a voice.
MAX_SAMPLE = 8 << 20
#: Text is charged as the seconds that reading it aloud takes, at this many characters a second.
CHARACTERS_PER_S = 15.0

_ALWAYS = (
    errors.InvalidRequest,
    errors.UploadTooLarge,
    errors.UnsupportedLanguage,
    errors.SpeechUnavailable,
    errors.SpeechFailed,
    errors.InternalError,
    errors.Busy,
    errors.NotReady,
    errors.InsufficientCredits,
    errors.PlanLimit,
    errors.IdempotencyInProgress,
    errors.IdempotencyMismatch,
)
_OF_AUDIO = (
    errors.MalformedRequest,
    errors.EmptyFile,
    errors.UploadTimeout,
    errors.AudioTooLong,
    errors.UnsupportedMediaType,
    errors.NotAudio,
    errors.UndecodableAudio,
    errors.InsufficientStorage,
)
_OWN = (errors.NoOwnVoice, errors.DatabaseUnavailable, errors.InternalError, errors.NotReady, errors.InvalidRequest)


@router.get(
    f"{PREFIX}/engines",
    summary="Engines of speech",
    responses=responses((errors.InternalError, errors.NotReady)),
    dependencies=_guarded,
)
async def engines(services: ServicesDep) -> EngineList:
    """What can transcribe, translate and speak here; of those that cannot, what is missing."""
    return EngineList(engines=[EngineEntry.of(entry) for entry in await services.speech.listed()])


# -- audio to text ---------------------------------------------------------------------------------------------------


def _form(**properties: Any) -> dict[str, Any]:
    file = {"type": "string", "format": "binary", "description": "WAV, MP3, Ogg, WebM, M4A or FLAC."}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file, **properties}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post(
    f"{PREFIX}/transcribe",
    summary="Write down speech",
    response_model=Transcription,
    dependencies=_guarded,
    responses=responses((*_ALWAYS, *_OF_AUDIO)),
    openapi_extra=_form(),
)
async def transcribe(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: CurrentPrincipal,
    language: Annotated[Language | None, Query(description="What is spoken; without it, it is detected.")] = None,
    words: Annotated[bool, Query(description="With the times of the words.")] = True,
    key: IdempotencyKey = None,
) -> Response:
    """Upload a recording and get what was said.

    `curl -F file=@speech.wav http://localhost:8000/api/speech/transcribe`

    The file is deleted once the response is sent. Closing the connection stops the work.
    """
    check_form(request)
    services.speech.transcriber()
    paying = await payment(services, principal, key)
    async with (
        uploads.enter(request, paying.upload_limit) as incoming,
        receive_file(incoming) as upload,
    ):
        named = [request.url.path, language, words]

        async def work() -> Response:
            return await _transcribed(services, paying, upload, named, language, words, _as_json)

        return await unless_gone(request, work())


def _as_json(found: Transcript, engine: str, seconds: float) -> Response:
    answer = Transcription.of(found, engine, seconds)
    return Response(answer.model_dump_json(), media_type="application/json")


async def _transcribed(
    services: Services,
    paying: Payment,
    upload: Upload,
    named: Sequence[object],
    language: str | None,
    words: bool,
    render: Any,
) -> Response:
    """render: makes the answer of the transcript, the engine's name and the seconds it took."""
    longest_s = services.settings.max_speech_s

    async def work(limit_s: float) -> tuple[float, Response]:
        began, engine = time.perf_counter(), services.speech.transcriber()
        found = await services.speech.transcribe(upload.path, language, words, limit_s)
        return found.duration_s, render(found, engine.name, time.perf_counter() - began)

    allowed = limits.speaking([language] if language is not None else [], size=upload.path.stat().st_size)
    try:
        return await paying.charged(None, longest_s, named, upload.path, allowed, work)
    except errors.VideoTooLong as problem:
        raise errors.AudioTooLong(problem.detail) from problem


# -- text ------------------------------------------------------------------------------------------------------------


def _seconds(content: str) -> float:
    return max(1.0, len(content) / CHARACTERS_PER_S)


@router.post(
    f"{PREFIX}/translate",
    summary="Translate text",
    response_model=Translation,
    dependencies=_guarded,
    responses=responses((*_ALWAYS, errors.TextTooLong)),
)
async def translate(
    request: Request,
    services: ServicesDep,
    principal: CurrentPrincipal,
    body: TranslateRequest,
    key: IdempotencyKey = None,
) -> Response:
    """English to Spanish or back. A text costs what its length would cost as speech, at 15 characters a second."""
    content = checked_text(body.text)
    services.speech.translator()
    paying = await payment(services, principal, key)

    async def work(_: float) -> tuple[float, Response]:
        began, engine = time.perf_counter(), services.speech.translator()
        translated, source = await services.speech.translate(content, body.target, body.source)
        answer = Translation(
            text=translated,
            source=source,
            target=body.target,
            engine=engine.name,
            processing_time_s=round(time.perf_counter() - began, 4),
        )
        return _seconds(content), Response(answer.model_dump_json(), media_type="application/json")

    named = [request.url.path, body.source, body.target]
    allowed = limits.speaking([body.target])
    seconds = _seconds(content)
    return await paying.charged(seconds, seconds, named, content.encode(), allowed, work)


_SOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in ("audio/wav", "audio/ogg")},
        "description": "The sound, sent as it becomes ready.",
    }
}


@router.post(
    f"{PREFIX}/synthesise",
    summary="Read text aloud",
    dependencies=_guarded,
    response_class=Response,
    responses=responses((*_ALWAYS, errors.TextTooLong, *_OWN)) | _SOUND,
)
async def synthesise(
    request: Request,
    services: ServicesDep,
    principal: CurrentPrincipal,
    body: SynthesiseRequest,
    key: SpokenOnce = None,
) -> Response:
    """The sound is sent sentence by sentence. A text costs as for `/translate`."""
    paying = await payment(services, principal, key)
    return await _spoken(paying, request.url.path, body.text, body.language, body.format, body.own_voice)


SpokenOnce = Annotated[
    str | None,
    idempotency_header(
        "Any text that is new for each request: sent again with it within a day, the text is read aloud again and paid "
        "once. For accounts alone."
    ),
]


async def _spoken(
    paying: Payment, path: str, content: str, asked: str | None, form: audio.Format, own: bool
) -> Response:
    """Paid when the first piece is there. Of an Idempotency-Key, that it was paid is kept, not the sound."""
    services, checked = paying.services, checked_text(content)
    engine = services.speech.voice()
    language = asked or text.language_of(checked)
    reference = await own_voices(services).reference(paying.principal) if own else None
    pieces = services.speech.synthesise(checked, language, form, reference)
    allowed, seconds = limits.speaking([language], voice=True), _seconds(checked)
    key = await paying.key_of([path, asked, form, own], checked.encode())
    async with services.credits.clip(paying.principal, seconds, seconds, key, allowed) as charge:
        sound = await begun(pieces)
        if charge.replayed is None:
            charge.used_s, charge.answer = seconds, Answer(audio.MEDIA_TYPES[form], b"")

    headers = {} if charge.replayed is None else {"idempotent-replayed": "true"}
    if own:
        headers["own-voice"] = engine.own
    return StreamingResponse(sound, media_type=audio.MEDIA_TYPES[form], headers=headers)


# -- a voice of one's own --------------------------------------------------------------------------------------------


def own_voices(services: ServicesDep) -> OwnVoices:
    if services.own_voices is None:
        raise errors.DatabaseUnavailable(NO_DATABASE)
    return services.own_voices


OwnVoicesDep = Annotated[OwnVoices, Depends(own_voices)]


def _info(row: OwnVoice, services: Services) -> OwnVoiceInfo:
    engine = services.speech.engines.voice
    return OwnVoiceInfo(
        consent=row.consent,
        consented_at=row.consented_at,
        duration_s=row.duration_s,
        pitch_hz=row.pitch_hz,
        characters_a_s=row.characters_a_s,
        used_as=engine.own if engine is not None else "none",
    )


@router.put(
    VOICE,
    summary="Record one's own voice",
    dependencies=_guarded,
    responses=responses((*_OWN, *_OF_AUDIO, errors.UploadTooLarge, errors.Busy)),
    openapi_extra=_form(),
)
async def put_voice(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: CurrentPrincipal,
    voices: OwnVoicesDep,
    consent: Annotated[bool, Query(description=f"That you agree: {CONSENT}")],
) -> OwnVoiceInfo:
    """A sample of 3 to 30 seconds, in place of the one before; stored until it is revoked or the account deleted."""
    if not consent:
        raise errors.InvalidRequest(f"consent: the sample is kept only if you agree: {CONSENT}")
    check_form(request)
    async with uploads.enter(request, MAX_SAMPLE) as incoming, receive_file(incoming) as upload:
        return _info(await voices.put(principal, upload.path), services)


@router.get(VOICE, summary="One's own voice", dependencies=_guarded, responses=responses(_OWN))
async def get_voice(services: ServicesDep, principal: CurrentPrincipal, voices: OwnVoicesDep) -> OwnVoiceInfo:
    """What is kept; the sample itself is in the export of the account."""
    return _info(await voices.get(principal), services)


@router.delete(
    VOICE,
    summary="Revoke one's own voice",
    status_code=204,
    dependencies=_guarded,
    responses=responses(_OWN),
)
async def revoke_voice(principal: CurrentPrincipal, voices: OwnVoicesDep) -> None:
    """The consent ends, and the sample is deleted at once."""
    await voices.revoke(principal)


# -- OpenAI's names --------------------------------------------------------------------------------------------------

_TEXT = {"type": "string"}
_FIELDS = ("model", "language", "response_format", "timestamp_granularities[]", "prompt", "temperature")
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")


@router.post(
    f"{ALIASES}/transcriptions",
    summary="Write down speech (OpenAI's API)",
    response_class=Response,
    responses=responses((*_ALWAYS, *_OF_AUDIO))
    | {200: {"content": {"application/json": {"schema": {"type": "object"}}, "text/plain": {"schema": _TEXT}}}},
    openapi_extra=_form(
        model={**_TEXT, "description": "Any; the engine of this service transcribes."},
        language={**_TEXT, "description": "ISO 639-1; without it, it is detected."},
        response_format={**_TEXT, "enum": list(_FORMATS), "default": "json"},
        **{"timestamp_granularities[]": {"type": "array", "items": _TEXT}},
    ),
)
async def openai_transcriptions(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: OpenAIPrincipal,
    key: IdempotencyKey = None,
) -> Response:
    """As `/api/speech/transcribe`, in the form that clients of OpenAI's API know."""
    check_form(request)
    services.speech.transcriber()
    paying = await payment(services, principal, key)
    async with (
        uploads.enter(request, paying.upload_limit) as incoming,
        receive_file(incoming, _FIELDS) as upload,
    ):

        def field(name: str, default: str) -> str:
            return upload.others.get(name, [default])[-1]

        form, language = field("response_format", "json"), field("language", "").lower() or None
        if form not in _FORMATS:
            raise errors.InvalidRequest(f"response_format: one of {', '.join(_FORMATS)}")
        words = "word" in upload.others.get("timestamp_granularities[]", [])

        def render(found: Transcript, engine: str, seconds: float) -> Response:
            return _as_openai(found, form, words)

        async def work() -> Response:
            named = [request.url.path, language, words, form]
            return await _transcribed(services, paying, upload, named, language, words, render)

        return await unless_gone(request, work())


def _as_openai(found: Transcript, form: str, words: bool) -> Response:
    match form:
        case "text":
            return PlainTextResponse(found.text + "\n")
        case "srt" | "vtt":
            cues = [Cue(p.start_s, p.end_s, p.text) for p in found.passages]
            return PlainTextResponse(to_srt(cues) if form == "srt" else to_vtt(cues))
        case "verbose_json":
            content: dict[str, Any] = {
                "task": "transcribe",
                "language": {"en": "english", "es": "spanish"}.get(found.language, found.language),
                "duration": round(found.duration_s, 3),
                "text": found.text,
                "segments": [_segment(number, passage) for number, passage in enumerate(found.passages)],
            }
            if words:
                content["words"] = [{"word": w.text, "start": w.start_s, "end": w.end_s} for w in found.words]
            return JSONResponse(content)
        case _:
            return JSONResponse({"text": found.text})


def _segment(number: int, passage: Passage) -> dict[str, Any]:
    unknown = {"seek": 0, "tokens": [], "temperature": 0.0}
    measures = {"avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
    times = {"start": passage.start_s, "end": passage.end_s}
    return {"id": number, **times, "text": passage.text, **unknown, **measures}


_NAMED: dict[Literal["mp3", "opus", "aac", "flac", "wav", "pcm"], audio.Format] = {
    "mp3": "mp3",
    "opus": "ogg",
    "aac": "aac",
    "flac": "flac",
    "wav": "wav",
    "pcm": "pcm",
}


@router.post(
    f"{ALIASES}/speech",
    summary="Read text aloud (OpenAI's API)",
    response_class=Response,
    responses=responses((*_ALWAYS, errors.TextTooLong, *_OWN))
    | {
        200: {
            "description": "The sound, sent as it becomes ready.",
            "content": {media: {"schema": {"type": "string"}} for media in audio.MEDIA_TYPES.values()},
        }
    },
)
async def openai_speech(
    request: Request,
    services: ServicesDep,
    principal: OpenAIPrincipal,
    body: OpenAISpeechRequest,
    key: SpokenOnce = None,
) -> Response:
    """As `/api/speech/synthesise`, in the form that clients of OpenAI's API know."""
    paying = await payment(services, principal, key)
    form, own = _NAMED[body.response_format], body.voice == "own"
    return await _spoken(paying, request.url.path, body.input, body.language, form, own)
