"""The pages at /admin put together: sqladmin reads, in transactions that cannot write; forms go to the services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqladmin import Admin
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.admin.actions import AccountPages, UsagePage
from app.api.admin.sign_in import SignIn
from app.api.admin.views import VIEWS
from app.core.errors import NotReady, ServiceError
from app.services.container import Services

PATH = "/admin"
TEMPLATES = Path(__file__).with_name("templates")


class _Sessions(async_sessionmaker[AsyncSession]):
    """Sessions that only read, of the database that there is when one is asked for."""

    def __init__(self, services: Callable[[], Services]) -> None:
        super().__init__(class_=AsyncSession)
        self._services = services

    def __call__(self, **local_kw: Any) -> Any:
        database = self._services().database
        assert database is not None, "ADMIN_PAGES needs a database"
        return database.session(read_only=True)


class _Headers:
    """ASGI middleware: no browser or proxy keeps the pages, and browsers say in `Origin` where a form comes from, which
    under the service's own `no-referrer` they do not. Files, which are sqladmin's, may be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Referrer-Policy"] = "same-origin"
                if headers.get("content-type", "text/html").startswith("text/html"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


def install(app: FastAPI) -> None:
    """Mount the pages. They find the services of the application as soon as it has started."""

    def services() -> Services:
        found: Services | None = app.state.services
        if found is None:
            raise NotReady
        return found

    admin = Admin(
        app,
        session_maker=_Sessions(services),
        base_url=PATH,
        title="Glossline",
        favicon_url="/web/icon.svg",
        templates_dir=str(TEMPLATES),
        authentication_backend=SignIn(services),
        middlewares=[Middleware(_Headers)],
    )
    admin.templates.env.globals["form_token"] = lambda request: request.state.form_token
    admin.admin.state.services, admin.admin.state.templates = services, admin.templates
    for view in (*VIEWS, UsagePage, AccountPages):
        admin.add_view(view)

    async def refused(request: Request, problem: Exception) -> Response:
        """A page with the status and what to do, as every other error of the service."""
        match problem:
            case ServiceError():
                status, message, headers = problem.status, problem.detail, problem.headers
            case HTTPException():
                status, message, headers = problem.status_code, problem.detail, dict(problem.headers or {})
            case _:  # a value that no row can have, such as a word in place of an id
                status, message, headers = 404, "There is nothing at this address.", {}
        context = {"status_code": status, "message": message}
        answer = await admin.templates.TemplateResponse(request, "sqladmin/error.html", context, status_code=status)
        answer.headers.update(headers)
        return answer

    kinds: tuple[type[Exception], ...] = (ServiceError, HTTPException, ValueError, StatementError, DBAPIError)
    admin.admin.exception_handlers = dict.fromkeys(kinds, refused)
