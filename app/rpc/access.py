"""Who calls: the principal of a gRPC call, from its metadata."""

from __future__ import annotations

from app.core.principal import Principal
from app.rpc.calls import Context, address_of
from app.services.accounts.access import Credentials, check
from app.services.container import Services


async def principal_of(context: Context, services: Services) -> Principal:
    """Metadata `authorization: Bearer TOKEN-OR-KEY` or `x-api-key: KEY`. Raises Unauthenticated, Forbidden,
    TooManyRequests, DatabaseUnavailable."""
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    principal = await services.access.authenticate(Credentials.of_headers(sent), address_of(context.peer()))
    check(principal, "captions")
    return principal
