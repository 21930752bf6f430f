"""API keys of one's own account."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter

from app.api.access import SignedInId
from app.api.auth import KeysDep
from app.api.problems import responses
from app.api.schemas import accounts as schemas
from app.core import errors

router = APIRouter(prefix="/api/keys", tags=["accounts"])

_ALWAYS = (errors.InvalidRequest, errors.NotFound, errors.NotReady, errors.DatabaseUnavailable)


@router.get("", summary="One's API keys", responses=responses(_ALWAYS))
async def list_keys(user_id: SignedInId, keys: KeysDep) -> schemas.Keys:
    """Newest first, revoked and expired ones too."""
    return schemas.Keys(keys=[schemas.Key.of(row) for row in await keys.all_of(user_id)])


@router.post(
    "",
    status_code=201,
    summary="Make an API key",
    responses=responses((*_ALWAYS, errors.UploadTooLarge, errors.TooManyKeys)),
)
async def make(body: schemas.NewKey, user_id: SignedInId, keys: KeysDep) -> schemas.CreatedKey:
    """The key is in this answer and nowhere else. It may do what its scopes say, with the role of its account."""
    lifetime = None if body.days is None else timedelta(days=body.days)
    row, text = await keys.create(user_id, body.name, set(body.scopes), lifetime)
    return schemas.CreatedKey(key=text, info=schemas.Key.of(row))


@router.delete("/{key_id}", status_code=204, summary="Revoke an API key", responses=responses(_ALWAYS))
async def revoke(key_id: UUID, user_id: SignedInId, keys: KeysDep) -> None:
    """It is refused from the next request on."""
    await keys.revoke(user_id, key_id)
