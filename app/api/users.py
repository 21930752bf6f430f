"""Accounts: one's own, and for admins those of all."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.access import CurrentPrincipal, OwnId, admins_only
from app.api.auth import AccountsDep
from app.api.problems import responses
from app.api.schemas import accounts as schemas
from app.core import errors

router = APIRouter(prefix="/api/users", tags=["accounts"])

_ALWAYS = (errors.InvalidRequest, errors.NotFound, errors.NotReady, errors.DatabaseUnavailable)


@router.get("/me", summary="One's own account", responses=responses(_ALWAYS))
async def me(user_id: OwnId, accounts: AccountsDep) -> schemas.User:
    return schemas.User.of(await accounts.get(user_id))


@router.get("", summary="Accounts, newest first", responses=responses(_ALWAYS), dependencies=[admins_only])
async def users(
    accounts: AccountsDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    email: Annotated[
        str | None, Query(max_length=320, pattern=r"^[^\x00]*$", description="A part of the address.")
    ] = None,
) -> schemas.Users:
    found, total = await accounts.page(limit, offset, email)
    return schemas.Users(users=[schemas.User.of(row) for row in found], total=total, limit=limit, offset=offset)


@router.patch(
    "/{user_id}",
    summary="Change a role, disable an account",
    responses=responses((*_ALWAYS, errors.Forbidden, errors.UploadTooLarge)),
    dependencies=[admins_only],
)
async def change(
    user_id: UUID, body: schemas.UserChange, accounts: AccountsDep, principal: CurrentPrincipal
) -> schemas.User:
    """Takes effect with the next request of that account. The only admin cannot be made less."""
    return schemas.User.of(await accounts.change(user_id, body.role, body.disabled, body.reason, principal.user_id))
