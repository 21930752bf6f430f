"""Who uses the pages at /admin: a sign-in of their own, in a cookie that nothing else reads."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from sqladmin.authentication import AuthenticationBackend
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.api.dependencies import client_address
from app.core import errors
from app.core.logging import principal_id
from app.core.network import address_key
from app.services.accounts.service import ADMIN_S, Accounts
from app.services.container import Services

COOKIE = "glossline_admin"


class SignIn(AuthenticationBackend):
    """Password and code of an admin, checked by the accounts; each request looks the account up again."""

    def __init__(self, services: Callable[[], Services]) -> None:
        self.middlewares = []  # not sqladmin's session: it is signed, but knows neither accounts nor their end
        self._services = services

    async def login(self, request: Request) -> Response:
        """The first page, or the form again with what is wrong."""
        services, form = self._services(), await request.form()
        try:
            await services.rate_limits.sign_in(_address(request))
            token = await _accounts(services).sign_in_at_admin(
                text(form, "email"), text(form, "password"), text(form, "code").strip() or None
            )
        except (
            errors.BadCredentials,
            errors.SecondFactorRequired,
            errors.Forbidden,
            errors.TooManyRequests,
            errors.Busy,
        ) as problem:
            return await self.form(request, problem)
        answer = RedirectResponse(request.url_for("admin:index"), 303)
        secure = request.url.scheme == "https" or (services.settings.public_url or "").startswith("https:")
        answer.set_cookie(
            COOKIE, token, max_age=ADMIN_S, path=_path(request), secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def form(self, request: Request, problem: errors.ServiceError) -> Response:
        detail = problem.detail.replace(" Send the six digits", " Type the six digits")
        context, status = {"error": detail}, problem.status
        answer = await request.app.state.templates.TemplateResponse(request, "sqladmin/login.html", context, status)
        answer.headers.update(problem.headers)
        return answer

    async def logout(self, request: Request) -> Response:
        answer = RedirectResponse(request.url_for("admin:login"), 303)
        answer.delete_cookie(COOKIE, path=_path(request), httponly=True, samesite="strict")
        return answer

    async def authenticate(self, request: Request) -> bool:
        """False leads to the form. Raises TooManyRequests, DatabaseUnavailable."""
        services = self._services()
        accounts, sent = _accounts(services), request.cookies.get(COOKIE)
        try:
            if sent is None:
                raise errors.Unauthenticated
            user, sign_in = await accounts.admin_of(sent)
        except errors.Unauthenticated:
            await services.rate_limits.request(_address(request))
            return False
        await services.rate_limits.request(f"user/{user.id}")
        principal_id.set(str(user.id))
        request.state.admin, request.state.form_token = user.id, accounts.form_token(sign_in)
        return True


async def checked_form(request: Request) -> FormData:
    """The form of a page of this sign-in. Raises Forbidden for one that another page has sent."""
    form = await request.form()
    if not hmac.compare_digest(text(form, "token").encode(), request.state.form_token.encode()):
        raise errors.Forbidden("This form does not belong to this sign-in. Load the page again and repeat it.")
    return form


def text(form: FormData, name: str) -> str:
    """A field; empty if it is missing or a file."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _accounts(services: Services) -> Accounts:
    """Raises NotFound where there is no database, which ADMIN_PAGES asks for."""
    if services.accounts is None:
        raise errors.NotFound
    return services.accounts


def _address(request: Request) -> str:
    return f"address/{address_key(client_address(request.scope) or '')}"


def _path(request: Request) -> str:
    path: str = request.scope.get("root_path", "") or "/"
    return path
