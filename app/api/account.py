"""One's own data: all of it as a file, and the end of the account."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.access import SignedInId
from app.api.auth import AccountsDep
from app.api.dependencies import ServicesDep
from app.api.history import HistoryDep
from app.api.problems import responses
from app.api.schemas.history import Goodbye
from app.core import errors
from app.services.billing import closing

router = APIRouter(prefix="/api/account", tags=["accounts"])

_ALWAYS = (
    errors.InvalidRequest,
    errors.NotFound,
    errors.NotReady,
    errors.DatabaseUnavailable,
    errors.InternalError,
)


@router.get(
    "/export",
    summary="All of one's own data",
    response_class=StreamingResponse,
    responses=responses(_ALWAYS) | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def export(user_id: SignedInId, accounts: AccountsDep, history: HistoryDep) -> StreamingResponse:
    """One JSON document: the account, API keys without their secrets, the subscription, every change of the credits,
    the history with partial results and corrections, and sign sets with their recordings. It is streamed; where it
    breaks off, it is not valid JSON."""
    pieces = history.export(await accounts.get(user_id))
    headers = {"Content-Disposition": 'attachment; filename="glossline-export.json"'}
    return StreamingResponse(pieces, media_type="application/json", headers=headers)


@router.delete(
    "",
    status_code=204,
    summary="Delete one's own account",
    responses=responses(
        (
            *_ALWAYS,
            errors.BadCredentials,
            errors.Forbidden,
            errors.SubscriptionRunning,
            errors.UploadTooLarge,
            errors.TooManyRequests,
            errors.Busy,
        )
    ),
)
async def remove(body: Goodbye, user_id: SignedInId, accounts: AccountsDep, services: ServicesDep) -> None:
    """At once and for good: the account, its keys, its history, its sign sets and what was given of them for training.
    The entries of the ledger stay, without anything that tells whose they were. A subscription has to be ended first,
    so that nobody pays for an account that is gone."""
    await accounts.remove(user_id, body.password, closing.close)
    if services.corpora is not None:
        await services.corpora.refresh()
