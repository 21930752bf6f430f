"""Recordings given for training, over HTTP: the text, one's consents, to give a set and to take it back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.api.access import CurrentPrincipal, needs
from app.api.dependencies import ServicesDep
from app.api.problems import responses
from app.api.schemas.corpus import ConsentInfo, CorpusInfo, NewConsent
from app.api.sign_sets import PlanDep
from app.core import errors
from app.core.principal import Principal
from app.services.signs.corpus import Corpora
from app.services.signs.reading import NO_DATABASE

# A consent belongs to a set, so it lies below it, and sets of others are not found.
router = APIRouter(prefix="/api/signs", tags=["signs"], dependencies=[needs("captions")])

_ALWAYS = (errors.InvalidRequest, errors.NotReady, errors.DatabaseUnavailable, errors.InternalError)
_CHANGING = (*_ALWAYS, errors.UnknownSignSet, errors.CorpusUnavailable)


def _corpora(services: ServicesDep) -> Corpora:
    if services.corpora is None:
        raise errors.DatabaseUnavailable(NO_DATABASE)
    return services.corpora


def _person(principal: CurrentPrincipal) -> Principal:
    """Raises Forbidden."""
    if principal.key_id is not None:
        raise errors.Forbidden("This needs a sign-in: a program with an API key cannot consent for a person.")
    return principal


CorporaDep = Annotated[Corpora, Depends(_corpora)]
PersonDep = Annotated[Principal, Depends(_person)]


@router.get("/corpus", summary="What one has given for training", responses=responses(_ALWAYS))
async def corpus(principal: CurrentPrincipal, corpora: CorporaDep) -> CorpusInfo:
    """With the text that is agreed to: what is kept, who can read it, how to take it back."""
    return CorpusInfo(consents=[ConsentInfo.of(consent) for consent in await corpora.of(principal)])


@router.post(
    "/sets/{set_id}/consent",
    summary="Give the recordings of a set for training",
    responses=responses((*_CHANGING, errors.ConsentOutdated, errors.PlanLimit, errors.UploadTooLarge)),
)
async def give(set_id: UUID, body: NewConsent, person: PersonDep, corpora: CorporaDep, plan: PlanDep) -> ConsentInfo:
    """Those with landmarks, and those added later; landmarks of the set are kept from now on. They become a corpus that
    operators can train with (docs/training.md)."""
    return ConsentInfo.of(await corpora.give(person, set_id, body.version, body.signed_by, plan))


@router.delete(
    "/sets/{set_id}/consent",
    status_code=204,
    summary="Take back what was given for training",
    responses=responses(_CHANGING),
)
async def take_back(set_id: UUID, person: PersonDep, corpora: CorporaDep) -> None:
    """The recordings leave the corpus before this is answered; the set stays. Recognisers trained before stay too."""
    await corpora.revoke(person, set_id)
