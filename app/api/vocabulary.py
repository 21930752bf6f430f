"""What the recogniser can read: vocabularies and their glosses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import needs
from app.api.dependencies import ServicesDep
from app.api.problems import responses
from app.api.schemas.vocabulary import Label, LabelNames, Labels, Vocabularies, VocabularyEntry
from app.core import errors
from app.services.recognition.vocabularies import reading_with

router = APIRouter(tags=["vocabulary"], dependencies=[needs("captions")])

_NOT_READY = (errors.NotReady, errors.DeviceFault)


@router.get("/api/vocabularies", summary="The vocabularies", responses=responses(_NOT_READY))
async def vocabularies(services: ServicesDep) -> Vocabularies:
    """What the active recogniser can be read with: fewer glosses are read more reliably. Without a vocabulary of its
    own, a request is read with the default one."""
    recogniser = services.host.recogniser
    default = await reading_with(recogniser, None)
    return Vocabularies(
        model=recogniser.model_id,
        default=default.reads,
        vocabularies=[
            VocabularyEntry(
                name=name,
                default=name == default.reads,
                size=len(glosses),
                glosses=list(glosses),
                dev=recogniser.config.vocabularies.get(name, {}).get("dev"),
            )
            for name, glosses in sorted(recogniser.vocabularies.items())
        ],
    )


@router.get("/api/labels", summary="The glosses", responses=responses((*_NOT_READY, errors.UnknownVocabulary)))
async def labels(
    services: ServicesDep,
    vocabulary: Annotated[
        str | None, Query(description="Name of a vocabulary; default: the default one.", examples=["all"])
    ] = None,
) -> Labels:
    """Every gloss that the active recogniser can produce with a vocabulary, with its class index."""
    recogniser = await reading_with(services.host.recogniser, vocabulary)
    index = {gloss: number for number, gloss in enumerate(recogniser.whole.vocabulary, start=1)}
    return Labels(
        model=recogniser.model_id, labels=[Label(id=index[gloss], gloss=gloss) for gloss in recogniser.vocabulary]
    )


@router.get("/labels", summary="The glosses, short form", responses=responses(_NOT_READY))
async def label_names(services: ServicesDep) -> LabelNames:
    """The glosses of the default vocabulary in lower case, numbered from 0: the form that clients of the older
    Socket.IO protocol read."""
    recogniser = await reading_with(services.host.recogniser, None)
    return LabelNames({str(number): gloss.lower() for number, gloss in enumerate(recogniser.vocabulary)})
