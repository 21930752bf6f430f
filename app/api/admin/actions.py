"""What admins do: credits, plan, role of one account, each with a reason; and the usage of all as a plot."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, ValidationError
from sqladmin import BaseView, expose
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.api.admin.plot import bars
from app.api.admin.sign_in import checked_form
from app.api.problems import invalid_request
from app.api.schemas.billing import Adjustment, GivingBack, PlanGrant, Text
from app.core.errors import NotFound
from app.core.principal import ROLES, Role
from app.db.models.accounts import User
from app.services.billing import admin, reports
from app.services.billing.credits import Credits
from app.services.container import Services

#: Entries of the ledger on the page of an account.
ENTRIES = 50

Asked = TypeVar("Asked", bound=BaseModel)


class _Once(Adjustment):
    once: UUID
    """New in each form that is shown: a form that is sent twice counts once."""


class _Plan(PlanGrant):
    reason: Text


class _Account(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role
    disabled: bool = False
    reason: Text


async def _read(request: Request, kind: type[Asked]) -> Asked:
    """The form that was sent. Raises Forbidden, InvalidRequest."""
    form = await checked_form(request)
    sent = {name: value for name, value in form.items() if name != "token"}
    if isinstance(sent.get("reason"), str):
        sent["reason"] = str(sent["reason"]).strip()
    try:
        return kind.model_validate(sent)
    except ValidationError as problem:
        raise invalid_request(list(problem.errors(include_url=False))) from None


def _services(request: Request) -> Services:
    """Raises NotReady."""
    found: Services = request.app.state.services()
    return found


def _credits(request: Request) -> Credits:
    """Raises NotFound where nothing is charged."""
    credits = _services(request).credits
    if not credits.charging:
        raise NotFound("This service charges nothing (AUTH_MODE=open), so there are no credits.")
    return credits


class UsagePage(BaseView):
    name, icon = "Usage", "fa-solid fa-chart-column"

    @expose("/usage", identity="usage")
    async def usage(self, request: Request) -> Response:
        database = _services(request).database
        assert database is not None
        async with database.session(read_only=True) as session:
            days = await reports.daily_of_all(session)
        context = {"days": days, "plot": bars(days), "title": "Usage"}
        return await self.templates.TemplateResponse(request, "admin/usage.html", context)


class AccountPages(BaseView):
    """One account, and the forms about it."""

    name = "Account"

    def is_visible(self, request: Request) -> bool:
        return False  # reached from the tables

    @expose("/account/{user_id:uuid}", identity="account")
    async def account(self, request: Request) -> Response:
        services, user_id = _services(request), _id(request)
        assert services.database is not None
        context: dict[str, Any] = {"title": "Account", "roles": ROLES, "once": uuid4()}
        if services.credits.charging:
            context["account"] = await services.credits.account_of(user_id)
            context["plans"] = services.credits.plans.plans
        async with services.database.session(read_only=True) as session:
            context["user"] = user = await session.get(User, user_id)
            context["subscription"] = await reports.subscription(session, user_id)
            context["entries"] = await reports.entries(session, user_id, ENTRIES, None)
            context["plot"] = bars(await reports.daily(session, user_id))
        if user is None:
            raise NotFound("There is no such account (any more).")
        context["done"] = request.query_params.get("done") == "1"
        return await self.templates.TemplateResponse(request, "admin/account.html", context)

    @expose("/account/{user_id:uuid}/credits", methods=["POST"], identity="account-credits")
    async def adjust(self, request: Request) -> Response:
        asked = await _read(request, _Once)
        await admin.adjust(
            _credits(request), _id(request), asked.credits, asked.reason, request.state.admin, str(asked.once)
        )
        return _done(request)

    @expose("/account/{user_id:uuid}/give-back", methods=["POST"], identity="account-give-back")
    async def give_back(self, request: Request) -> Response:
        asked = await _read(request, GivingBack)
        await admin.give_back(
            _credits(request), _id(request), asked.number, asked.credits, asked.reason, request.state.admin
        )
        return _done(request)

    @expose("/account/{user_id:uuid}/plan", methods=["POST"], identity="account-plan")
    async def plan(self, request: Request) -> Response:
        asked = await _read(request, _Plan)
        await admin.give_plan(_credits(request), _id(request), asked.plan, asked.reason, request.state.admin)
        return _done(request)

    @expose("/account/{user_id:uuid}/access", methods=["POST"], identity="account-access")
    async def access(self, request: Request) -> Response:
        asked = await _read(request, _Account)
        accounts = _services(request).accounts
        assert accounts is not None
        await accounts.change(_id(request), asked.role, asked.disabled, asked.reason, request.state.admin)
        return _done(request)


def _id(request: Request) -> UUID:
    found: UUID = request.path_params["user_id"]
    return found


def _done(request: Request) -> Response:
    """To the page of the account, so that loading it again sends nothing again."""
    here = request.scope.get("root_path", "")
    return RedirectResponse(f"{here}/account/{_id(request)}?done=1", 303)
