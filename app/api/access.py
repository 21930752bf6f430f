"""Who may train: clients with the token or, if none is set, clients on the service's own machine. No accounts yet."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.dependencies import TRAINING_OFF, ServicesDep
from app.api.origins import same_origin
from app.core.errors import TrainingForbidden, Unauthorized
from app.core.network import is_loopback, parse_host, parse_origin

_bearer = HTTPBearer(auto_error=False, description="The value of TRAINING_TOKEN, if that is set.")
#: Headers that proxies add: behind a proxy, every client appears to be on this machine.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def may_train(
    request: Request,
    services: ServicesDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises Unauthorized or TrainingForbidden."""
    token = services.settings.training_token
    if not services.settings.training:
        raise TrainingForbidden(TRAINING_OFF)
    if token is not None:
        given = credentials.credentials if credentials is not None else ""
        if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            raise Unauthorized
    elif not _from_here(request):
        raise TrainingForbidden(
            "Without TRAINING_TOKEN, training is only available on the service's own machine, at http://localhost, "
            "and not through a proxy or from pages of other sites. Set TRAINING_TOKEN and send it as 'Authorization: "
            "Bearer TOKEN'."
        )


def _from_here(request: Request) -> bool:
    """A program, or a page of this service, on this machine. The host name counts as well, because a foreign name that
    resolves to this machine is how foreign pages reach local services."""
    client, host = request.client, parse_host(request.headers.get("host", ""))
    if client is None or not is_loopback(client.host) or host is None or not host.is_loopback:
        return False
    given = request.headers.get("origin")
    if given is not None:
        origin = parse_origin(given)
        if origin is None or not same_origin(origin, host, request.scope):
            return False
    return not any(name in request.headers for name in _FORWARDED)
