"""The refresh token of a page of this service, in a cookie that scripts cannot read.

What keeps other sites from using it: SameSite=Strict; every request with it must have an Origin, and that must be this
service itself (CORS_ORIGINS does not help); and it is sent to the routes of /api/auth alone, of which only refresh and
sign-out read it. All other routes ask for an access token, which a page keeps in its memory.
"""

from __future__ import annotations

from fastapi import Request, Response

from app.api.origins import same_origin
from app.core.errors import Forbidden, Unauthenticated
from app.core.network import Origin, parse_host, parse_origin

NAME = "glossline_refresh"
PATH = "/api/auth"
#: Seconds in which a cookie that was exchanged is accepted again: a page that is left while it refreshes never gets the
#: answer, and two tabs may refresh at once. Only one of the tokens given out goes on, see `Accounts.refresh`.
GRACE_S = 10.0


def check(request: Request) -> None:
    """Raises Forbidden for what is not a page of this service."""
    _own_page(request)


def put(request: Request, response: Response, token: str, days: float) -> None:
    """Raises Forbidden for what is not a page of this service."""
    secure = _own_page(request).scheme == "https"  # also where TLS ends at a proxy
    response.set_cookie(
        NAME, token, max_age=int(days * 86400), path=PATH, secure=secure, httponly=True, samesite="strict"
    )


def read(request: Request) -> str:
    """Raises Forbidden for what is not a page of this service, Unauthenticated without the cookie."""
    _own_page(request)
    token = request.cookies.get(NAME)
    if not token:
        raise Unauthenticated("No page has signed in here, or its sign-in is over. Sign in again.")
    return token


def remove(response: Response) -> None:
    response.delete_cookie(NAME, path=PATH, httponly=True, samesite="strict")


def _own_page(request: Request) -> Origin:
    origin = parse_origin(request.headers.get("origin", ""))
    if origin is None or not same_origin(origin, parse_host(request.headers.get("host", "")), request.scope):
        raise Forbidden("Only pages of this service keep a sign-in in a cookie. Leave 'cookie' out to get the token.")
    return origin
