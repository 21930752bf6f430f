"""Who may train: who has the token or, without one, who sits at the service's own machine. No accounts yet."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.dependencies import SettingsDep
from app.core.errors import TrainingForbidden, Unauthorized

_bearer = HTTPBearer(auto_error=False, description="The setting TRAINING_TOKEN, where one is set.")
#: What proxies add: behind one, everybody seems to sit at this machine.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def may_train(
    request: Request,
    settings: SettingsDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises Unauthorized or TrainingForbidden."""
    if not settings.training:
        raise TrainingForbidden("Training over HTTP is switched off here: TRAINING=false.")
    if settings.training_token is not None:
        given = credentials.credentials if credentials is not None else ""
        if not hmac.compare_digest(given.encode(), settings.training_token.get_secret_value().encode()):
            raise Unauthorized
    elif not _from_here(request):
        raise TrainingForbidden(
            "Without TRAINING_TOKEN, training is open to the service's own machine alone: to http://localhost, and "
            "not through a proxy or from pages of other sites. Set TRAINING_TOKEN, and send it as 'Authorization: "
            "Bearer TOKEN'."
        )


def _from_here(request: Request) -> bool:
    """A program or a page of this very service, on this machine. The name that was asked for counts as well: a foreign
    name that leads to this machine is how foreign pages reach local services."""
    client, host = request.client, request.headers.get("host", "")
    origin = request.headers.get("origin")
    return (
        client is not None
        and _is_loopback(client.host)
        and _is_loopback(urlsplit(f"//{host}").hostname or "")
        and (origin is None or urlsplit(origin).netloc == host)
        and not any(name in request.headers for name in _FORWARDED)
    )


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
