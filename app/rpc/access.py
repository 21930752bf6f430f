"""Who calls: the principal of a gRPC call, from its metadata."""

from __future__ import annotations

from contextvars import ContextVar

from app.core.principal import ANONYMOUS, Principal
from app.rpc.calls import Context, address_of
from app.services.accounts.access import Credentials, check
from app.services.container import Services

#: Who made the call that is being answered; set before a method with one request runs.
CALLER: ContextVar[Principal] = ContextVar("caller", default=ANONYMOUS)


async def principal_of(context: Context, services: Services) -> Principal:
    """Metadata `authorization: Bearer TOKEN-OR-KEY` or `x-api-key: KEY`. Raises Unauthenticated, Forbidden,
    TooManyRequests, DatabaseUnavailable."""
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    principal = await services.access.authenticate(Credentials.of_headers(sent), address_of(context.peer()))
    check(principal, "captions")
    return principal
