"""What the routes of credits and plans accept and answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.db.models.credits import LedgerEntry, Subscription
from app.services.billing.ledger import Account
from app.services.billing.plans import Plan, Plans
from app.services.billing.reports import Day

#: Credits that an admin may give or take at once.
MAX_CREDITS = 10**9
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
PlanName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9_-]+$", examples=["pro"])]


class _Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class PlanInfo(_Schema):
    """A plan; what its limits mean is described in docs/billing.md."""

    name: str
    title: str
    monthly_credits: int
    """Granted on the first of each month (UTC)."""
    concurrent_sessions: int
    upload_mb: float
    minutes_a_day: float
    vocabularies: Literal["named", "own"]
    sign_sets: int
    signs_a_set: int
    corpus_recordings: int
    languages: list[str]
    voice: bool
    can_be_bought: bool
    """Whether POST /api/billing/checkout sells it here."""

    @classmethod
    def of(cls, name: str, plan: Plan, can_be_bought: bool) -> PlanInfo:
        return cls(name=name, can_be_bought=can_be_bought, **plan.model_dump())


class PlanList(_Schema):
    """All plans, from the least to the most."""

    plans: list[PlanInfo]
    credits_per_second: dict[str, float]
    """Of a `clip` and of `live` captions."""

    @classmethod
    def of(cls, plans: Plans, sold: set[str]) -> PlanList:
        listed = [PlanInfo.of(name, plan, name in sold) for name, plan in plans.plans.items()]
        return cls(plans=listed, credits_per_second=plans.credits_per_second.model_dump())


class Balance(_Schema):
    """What an account has."""

    plan: str
    balance: int
    """The sum of the ledger."""
    reserved: int
    """Credits of it that are held for what is running."""
    available: int
    """`balance` less `reserved`."""
    sessions: int
    """Live sessions now."""
    today_left_s: float
    """Seconds that the plan still allows today (UTC)."""

    @classmethod
    def of(cls, account: Account) -> Balance:
        return cls(
            plan=account.plan_name,
            balance=account.balance,
            reserved=account.held,
            available=account.available,
            sessions=account.sessions,
            today_left_s=account.today_left_s,
        )


class SubscriptionInfo(_Schema):
    """Where the plan comes from."""

    source: Literal["stripe", "admin"]
    status: str
    """At Stripe: `active`, `past_due`, `canceled` ...; `none` before there is a subscription."""
    period_end: datetime | None
    """Up to when it is paid."""
    ends_at_period_end: bool

    @classmethod
    def of(cls, row: Subscription) -> SubscriptionInfo:
        return cls(
            source="admin" if row.source == "admin" else "stripe",
            status=row.status,
            period_end=row.period_end,
            ends_at_period_end=row.ends_at_period_end,
        )


class DayOfUsage(_Schema):
    """One day (UTC)."""

    day: date
    clip: int
    """Credits for clips."""
    live: int
    """Credits for live captions."""
    seconds: float

    @classmethod
    def of(cls, day: Day) -> DayOfUsage:
        return cls(day=day.day, clip=day.clip, live=day.live, seconds=day.seconds)


class Usage(_Schema):
    """Credits, plan, and the usage of the last 30 days."""

    credits: Balance
    subscription: SubscriptionInfo | None
    days: list[DayOfUsage]
    """Oldest first."""


class Entry(_Schema):
    """An entry of the ledger."""

    number: int
    kind: Literal["grant", "expire", "debit", "adjust", "refund"]
    """`grant` and `expire`: credits of a month; `debit`: used; `adjust`: by an admin; `refund`: taken back because a
    payment was returned."""
    amount: int
    """Credits; negative: taken."""
    balance: int
    """After it."""
    seconds: float | None
    """Of a debit: what was used."""
    source: str | None
    """Of a debit: `clip` or `live`; of a grant: the plan."""
    reason: str | None
    created_at: datetime

    @classmethod
    def of(cls, entry: LedgerEntry) -> Entry:
        names = set(cls.model_fields) - {"source"}
        source = entry.source if entry.kind in ("debit", "grant") else None
        return cls(source=source, **{name: getattr(entry, name) for name in names})


class Entries(_Schema):
    """Entries, newest first."""

    entries: list[Entry]
    before: int | None
    """Send it as `before` for older ones; null: there are none."""


class CheckoutRequest(_Schema):
    """What to buy."""

    model_config = ConfigDict(extra="forbid")

    plan: PlanName


class Page(_Schema):
    """A page at Stripe, where to send the browser."""

    url: str


class StripeEventBody(_Schema):
    """An event of Stripe, as far as it is read."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    created: int
    data: dict[str, object]


class Received(_Schema):
    """What became of an event."""

    outcome: Literal["applied", "repeated", "ignored"]


class Adjustment(_Schema):
    """Credits that an admin gives or takes."""

    model_config = ConfigDict(extra="forbid")

    credits: int = Field(ge=-MAX_CREDITS, le=MAX_CREDITS)
    """Negative: taken."""
    reason: Text


class PlanGrant(_Schema):
    """A plan that an admin gives."""

    model_config = ConfigDict(extra="forbid")

    plan: PlanName
    reason: Text | None = None
    """For the log."""


class GivingBack(_Schema):
    """Credits of one debit that an admin gives back."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=2**53)
    """Of the debit in the ledger of the account."""
    credits: int = Field(ge=1, le=MAX_CREDITS)
    """At most what the debit took; each debit is given back once."""
    reason: Text
