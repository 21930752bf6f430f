"""Text to signs: glosses of a text, and a performance of them as landmarks or as video."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from app.api.access import CurrentPrincipal, needs
from app.api.dependencies import ServicesDep
from app.api.inference import unless_gone
from app.api.payment import payment
from app.api.problems import responses
from app.api.schemas.perform import PerformAnswer, PerformRequest
from app.api.speech import CHARACTERS_PER_S
from app.api.streamed import begun
from app.core import errors
from app.core.principal import Principal
from app.services.billing import limits
from app.services.container import Services
from app.services.performing.service import Glossed, Performed

router = APIRouter(tags=["vocabulary"])
PATH = "/api/signs/perform"
#: Bytes of a JSON body.
MAX_JSON = 64 << 10

_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}},
        "description": "The performance as landmarks, or as a video that is sent while it is drawn.",
    }
}


@router.post(
    PATH,
    summary="Sign a text",
    dependencies=[needs("captions")],
    response_model=PerformAnswer,
    responses=responses(
        (
            errors.InvalidRequest,
            errors.TextTooLong,
            errors.UploadTooLarge,
            errors.UnknownSign,
            errors.UnsupportedLanguage,
            errors.SpeechUnavailable,
            errors.SpeechFailed,
            errors.InsufficientCredits,
            errors.PlanLimit,
            errors.Busy,
            errors.NotReady,
            errors.InternalError,
        )
    )
    | _VIDEO,
)
async def perform(
    request: Request, services: ServicesDep, principal: CurrentPrincipal, body: PerformRequest
) -> Response:
    """English or Spanish text to glosses by simple rules, and one performance of the prototype signer, who shows no
    real person. It is no interpreter: words that have no sign are shown as text, and the face says nothing.

    Landmarks of English text and of glosses are free. A video costs its seconds, and Spanish text what its translation
    costs."""
    performed, glossed = await unless_gone(request, _worked_out(services, principal, body))
    if body.format == "mp4":
        return await _video(services, principal, performed, glossed)
    answer = await asyncio.to_thread(lambda: PerformAnswer.of(performed, glossed).model_dump_json())
    return Response(answer, media_type="application/json")


async def _worked_out(
    services: Services, principal: Principal, body: PerformRequest
) -> tuple[Performed, Glossed | None]:
    performing = services.performing
    if body.text is None:
        return await performing.perform(await performing.glosses(body.glosses or [])), None
    if performing.needs_translation(body.text, body.language):
        services.speech.translator()
        await payment(services, principal, None)
        seconds = max(1.0, len(body.text) / CHARACTERS_PER_S)
        allowed = limits.speaking(["es"])
        async with services.credits.clip(principal, seconds, seconds, None, allowed) as charge:
            glossed = await performing.glossed(body.text, body.language)
            charge.used_s = seconds
    else:
        glossed = await performing.glossed(body.text, body.language)
    return await performing.perform(glossed.glossing.items), glossed


async def _video(services: Services, principal: Principal, performed: Performed, glossed: Glossed | None) -> Response:
    """Paid when the first piece is there."""
    await payment(services, principal, None)
    seconds = performed.keypoints.duration_s
    async with services.credits.clip(principal, seconds, seconds) as charge:
        video = await begun(services.performing.video(performed))
        charge.used_s = seconds

    headers = {"Glossline-Glosses": ",".join(gloss for item in performed.items for gloss in item.glosses)}
    return StreamingResponse(video, media_type="video/mp4", headers=headers)
