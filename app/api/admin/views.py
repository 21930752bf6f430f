"""The tables that admins may look at. None of them can be changed here, and nobody's captions are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from markupsafe import Markup
from sqladmin import ModelView
from sqlalchemy import Select, func, select
from sqlalchemy.orm import undefer
from starlette.requests import Request

from app.db.models.accounts import User
from app.db.models.credits import LedgerEntry, Subscription
from app.db.models.history import CaptionSession
from app.db.models.training import TrainingJob

Formatter = Callable[[Any, Any], Any]
Named = dict[Any, Any]


def _account_link(of: str, shown: str) -> Formatter:
    """A cell that leads to the page of an account; both are names of columns."""

    def cell(row: Any, _: Any) -> Any:
        user_id = getattr(row, of)
        if user_id is None:  # the account was deleted
            return ""
        return Markup('<a href="/admin/account/{}">{}</a>').format(user_id, getattr(row, shown))

    return cell


class _Table(ModelView):
    """Looked at only: sqladmin has no route left that changes something."""

    can_create = can_edit = can_delete = can_export = can_import = False
    page_size = 50
    page_size_options = (25, 50, 100, 200)


class Users(_Table, model=User):
    name, name_plural, icon = "Account", "Accounts", "fa-solid fa-user"
    column_list = (User.email, User.role, User.totp_on, User.disabled_at, User.created_at, User.id)
    column_labels: ClassVar[Named] = {
        "totp_on": "second factor",
        "disabled_at": "disabled",
        "created_at": "made",
    }
    column_searchable_list = (User.email,)
    column_sortable_list = (User.email, User.role, User.created_at)
    column_default_sort = ("created_at", True)
    column_formatters: ClassVar[Named] = {User.email: _account_link("id", "email")}
    can_view_details = False


class Subscriptions(_Table, model=Subscription):
    name, name_plural, icon = "Plan", "Plans", "fa-solid fa-tags"
    column_list = (
        *(Subscription.user_id, Subscription.plan, Subscription.source, Subscription.status),
        *(Subscription.period_end, Subscription.ends_at_period_end, Subscription.customer_id, Subscription.updated_at),
    )
    column_labels: ClassVar[Named] = {
        "user_id": "account",
        "period_end": "paid until",
        "ends_at_period_end": "ends then",
    }
    column_sortable_list = (Subscription.plan, Subscription.status, Subscription.updated_at)
    column_default_sort = ("updated_at", True)
    column_formatters: ClassVar[Named] = {Subscription.user_id: _account_link("user_id", "user_id")}
    can_view_details = False


class Ledger(_Table, model=LedgerEntry):
    name, name_plural, icon = "Entry", "Ledger", "fa-solid fa-book"
    column_list = (
        *(LedgerEntry.id, LedgerEntry.user_id, LedgerEntry.number, LedgerEntry.kind, LedgerEntry.amount),
        *(LedgerEntry.balance, LedgerEntry.seconds, LedgerEntry.source, LedgerEntry.period, LedgerEntry.reason),
        *(LedgerEntry.actor, LedgerEntry.created_at),
    )
    column_labels: ClassVar[Named] = {"user_id": "account", "actor": "admin", "created_at": "when"}
    column_sortable_list = (LedgerEntry.id,)
    column_default_sort = ("id", True)
    column_formatters: ClassVar[Named] = {LedgerEntry.user_id: _account_link("user_id", "user_id")}
    can_view_details = False


class CaptionSessions(_Table, model=CaptionSession):
    """When and how much. The captions are their owner's, and so are the words of a vocabulary of their own."""

    name, name_plural, icon = "Caption session", "Caption sessions", "fa-solid fa-closed-captioning"
    column_list = (
        *(CaptionSession.user_id, CaptionSession.kind, CaptionSession.sign_language, CaptionSession.model),
        *(
            CaptionSession.started_at,
            CaptionSession.ended_at,
            CaptionSession.duration_s,
            CaptionSession.number_of_lines,
        ),
        *(CaptionSession.lines_lost, CaptionSession.credits),
    )
    column_labels: ClassVar[Named] = {
        "user_id": "account",
        "number_of_lines": "lines",
        "lines_lost": "lines lost",
    }
    column_sortable_list = (CaptionSession.started_at, CaptionSession.duration_s)
    column_default_sort = ("started_at", True)
    column_formatters: ClassVar[Named] = {CaptionSession.user_id: _account_link("user_id", "user_id")}
    can_view_details = False

    def list_query(self, request: Request) -> Select[Any]:
        return select(CaptionSession).options(undefer(CaptionSession.number_of_lines))

    def count_query(self, request: Request) -> Select[Any]:
        return select(func.count(CaptionSession.id))


class TrainingJobs(_Table, model=TrainingJob):
    name, name_plural, icon = "Training job", "Training jobs", "fa-solid fa-dumbbell"
    column_list = (
        *(TrainingJob.id, TrainingJob.state, TrainingJob.progress, TrainingJob.device, TrainingJob.host),
        *(TrainingJob.created_at, TrainingJob.started_at, TrainingJob.finished_at, TrainingJob.reason),
    )
    column_details_list = (
        *(TrainingJob.id, TrainingJob.state, TrainingJob.request, TrainingJob.progress, TrainingJob.device),
        *(TrainingJob.host, TrainingJob.pid, TrainingJob.attempt, TrainingJob.exit_code, TrainingJob.reason),
        *(TrainingJob.log_tail, TrainingJob.created_at, TrainingJob.started_at, TrainingJob.finished_at),
    )
    column_sortable_list = (TrainingJob.created_at, TrainingJob.state)
    column_default_sort = ("created_at", True)


VIEWS = (Users, Subscriptions, Ledger, CaptionSessions, TrainingJobs)
