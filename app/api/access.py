"""Who asks, at the doors of HTTP and sockets, and which routes they may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.dependencies import TRAINING_OFF, ServicesDep, client_address
from app.api.origins import same_origin
from app.core.errors import Forbidden, TrainingForbidden, Unauthenticated, Unauthorized
from app.core.network import is_loopback, parse_host, parse_origin
from app.core.principal import ANONYMOUS, Principal, Role
from app.services.accounts.access import Credentials, check
from app.services.accounts.service import user_id_of
from app.services.container import Services

# These two stand in the OpenAPI document; what they find is read by `_credentials`, as at every other door.
_bearer = HTTPBearer(
    scheme_name="bearer",
    auto_error=False,
    description="An access token of POST /api/auth/sign-in, an API key, or for training the value of TRAINING_TOKEN.",
)
_api_key = APIKeyHeader(name="X-API-Key", scheme_name="api_key", auto_error=False, description="An API key.")
#: Headers that proxies add: behind a proxy, every client appears to be on this machine.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


# -- HTTP ------------------------------------------------------------------------------------------------------------


async def current_principal(
    request: Request,
    services: ServicesDep,
    _: Annotated[object, Depends(_bearer)],
    __: Annotated[object, Depends(_api_key)],
) -> Principal:
    """Raises Unauthenticated, TooManyRequests, DatabaseUnavailable."""
    return await services.access.authenticate(_credentials(request.scope), client_address(request.scope))


async def _current_or_nobody(
    request: Request,
    services: ServicesDep,
    bearer: Annotated[object, Depends(_bearer)],
    api_key: Annotated[object, Depends(_api_key)],
) -> Principal:
    """As `current_principal`; but in AUTH_MODE=open, a key that is not known makes nobody of its client: clients of
    OpenAI's API always send one."""
    try:
        principal = await current_principal(request, services, bearer, api_key)
    except Unauthenticated:
        if services.settings.auth_mode == "required":
            raise
        return ANONYMOUS
    if services.settings.auth_mode == "required" or principal.user_id is not None:
        check(principal, "captions")
    return principal


#: For routes under OpenAI's names; they need the scope `captions`.
OpenAIPrincipal = Annotated[Principal, Depends(_current_or_nobody)]
CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def needs(scope: str | None = None, role: Role = "user") -> Dependency:
    """A dependency of routes: their clients have this scope and role. In AUTH_MODE=open, anonymous ones have what they
    always had."""

    async def checked(principal: CurrentPrincipal, services: ServicesDep) -> None:
        if services.settings.auth_mode == "required" or principal.user_id is not None:
            check(principal, scope, role)

    return Depends(checked)


async def _own_id(principal: CurrentPrincipal) -> UUID:
    """Raises Unauthenticated, Forbidden."""
    user_id = user_id_of(principal)
    check(principal, "account")
    return user_id


async def _own_id_signed_in(user_id: Annotated[UUID, Depends(_own_id)], principal: CurrentPrincipal) -> UUID:
    """Raises Unauthenticated, Forbidden."""
    if principal.key_id is not None:
        raise Forbidden("This needs a sign-in: an API key may not change how an account is opened.")
    return user_id


async def _admin(user_id: Annotated[UUID, Depends(_own_id_signed_in)], principal: CurrentPrincipal) -> None:
    check(principal, "account", "admin")


#: The account of the client, whether it has signed in or sent a key with the scope `account`.
OwnId = Annotated[UUID, Depends(_own_id)]
#: The same, for what an API key may not do.
SignedInId = Annotated[UUID, Depends(_own_id_signed_in)]
#: Admins who have signed in.
admins_only = Depends(_admin)


async def may_train(
    request: Request,
    services: ServicesDep,
    _: Annotated[object, Depends(_bearer)],
    __: Annotated[object, Depends(_api_key)],
) -> None:
    """Operators; in AUTH_MODE=open also clients with TRAINING_TOKEN or, if none is set, clients on the service's own
    machine. Raises Unauthorized, Unauthenticated, Forbidden, TrainingForbidden, TooManyRequests."""
    settings = services.settings
    if not settings.training:
        raise TrainingForbidden(TRAINING_OFF)
    by_token = settings.auth_mode == "open" and settings.training_token is not None
    try:
        principal = await services.access.authenticate(_credentials(request.scope), client_address(request.scope))
    except Unauthenticated:
        if by_token:
            raise Unauthorized from None
        raise
    if principal.user_id is not None or principal.role == "operator" or settings.auth_mode == "required":
        check(principal, "training", "operator")
    elif by_token:
        raise Unauthorized
    elif not is_from_here(request):
        raise TrainingForbidden(
            "Without TRAINING_TOKEN, training is only available on the service's own machine, at http://localhost, "
            "and not through a proxy or from pages of other sites. Set TRAINING_TOKEN and send it as 'Authorization: "
            "Bearer TOKEN'."
        )


async def may_watch(
    request: Request,
    services: ServicesDep,
    _: Annotated[object, Depends(_bearer)],
    __: Annotated[object, Depends(_api_key)],
) -> None:
    """For the numbers of the service, in AUTH_MODE=required: METRICS_TOKEN, an operator, or a program on this machine.
    Raises Unauthenticated, Forbidden, TooManyRequests."""
    settings = services.settings
    if settings.auth_mode == "open":
        return
    sent = _credentials(request.scope)
    if sent == Credentials() and is_from_here(request):
        return
    if services.access.is_metrics_token(sent):
        return
    check(await services.access.authenticate(sent, client_address(request.scope)), role="operator")


def is_from_here(request: Request) -> bool:
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


def _credentials(scope: Scope) -> Credentials:
    return Credentials.of_headers(Headers(scope=scope))


# -- sockets ---------------------------------------------------------------------------------------------------------


def socket_credentials(scope: Scope, auth: object = None) -> Credentials:
    """Headers, `?ticket=`, and of Socket.IO the payload `auth`: {"ticket"}, {"token"} (also a key) or {"key"}."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    sent = Credentials.of_headers(Headers(scope=scope), query.get("ticket", [None])[-1])
    if not isinstance(auth, Mapping):
        return sent

    def text(name: str) -> str | None:
        value = auth.get(name)
        return value if isinstance(value, str) and value else None

    return Credentials(text("ticket") or sent.ticket, text("key") or sent.key, text("token") or sent.bearer)


async def socket_principal(services: Services, sent: Credentials, address: str | None) -> Principal:
    """Whose socket of live captions it is. Raises Unauthenticated, Forbidden, TooManyRequests, DatabaseUnavailable."""
    principal = await services.access.authenticate(sent, address)
    check(principal, "captions")
    return principal
