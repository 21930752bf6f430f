"""Stripe: checkout, the customer portal, and webhooks.

An event says only what to look at: subscriptions and charges are read from Stripe, so events may come twice and in any
order. An event is recorded in the transaction of its effect. Customers are made here, with the account's id, so that
each of their events finds its account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import stripe
from loguru import logger
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import AlreadySubscribed, InvalidRequest, InvalidSignature, NotFound, PaymentsUnavailable
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import User
from app.db.models.credits import LedgerEntry, StripeEvent, Subscription
from app.monitoring.metrics import Metrics
from app.services.billing import ledger
from app.services.billing.plans import Plans

#: Seconds that one request to Stripe may take, and how often it is sent again.
TIMEOUT_S, RETRIES = 10.0, 2
#: Seconds that the signature of a webhook may be old.
TOLERANCE_S = 300
#: Webhooks worked on at once; each holds a connection to the database while Stripe answers.
AT_ONCE = 4
#: The first number of the advisory locks of users' subscriptions.
_LOCK = 1735159670

_OF_SUBSCRIPTIONS = frozenset(
    {
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.updated",
        "invoice.paid",
        "invoice.payment_failed",
    }
)
_OF_REFUNDS = "charge.refunded"

Outcome = Literal["applied", "repeated", "ignored"]


@dataclass(frozen=True, slots=True)
class _Bought:
    """A subscription as Stripe has it."""

    plan: str
    id: str
    status: str
    created: int
    period_end: datetime | None
    ends_at_period_end: bool


class StripeBilling:
    """One per process; use from one event loop."""

    def __init__(self, settings: Settings, database: Database, plans: Plans, metrics: Metrics) -> None:
        """settings: with a Stripe key."""
        assert settings.stripe_secret_key is not None
        assert settings.stripe_webhook_secret is not None
        self._database, self._plans, self._metrics = database, plans, metrics
        self._prices = settings.stripe_prices
        self._plan_of = {price: plan for plan, price in self._prices.items()}
        self._webhook_secret = settings.stripe_webhook_secret.get_secret_value()
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            base_addresses={"api": settings.stripe_api},
            http_client=self._http,
            max_network_retries=RETRIES,
        )
        self._places = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._http.close_async()

    # -- pages at Stripe ----------------------------------------------------------------------------------------------

    async def checkout(self, user_id: UUID, plan: str, here: str) -> str:
        """Address of a page where the user pays for a plan. here: address of this service, to come back to. Raises
        InvalidRequest, AlreadySubscribed, NotFound, PaymentsUnavailable, DatabaseUnavailable."""
        if plan not in self._prices:
            raise InvalidRequest(f"plan: '{plan[:40]}' cannot be bought; choose from {', '.join(self._prices)}.")
        async with self._locked(user_id) as session:
            row = await _row(session, user_id)
            if row is not None and row.source == "stripe" and row.status in (*ledger.PAID, "past_due", "unpaid"):
                raise AlreadySubscribed
            customer = await self._customer(session, user_id, row)
        with _translated():
            page = await self._client.v1.checkout.sessions.create_async(
                params={
                    "mode": "subscription",
                    "customer": customer,
                    "client_reference_id": str(user_id),
                    "line_items": [{"price": self._prices[plan], "quantity": 1}],
                    "success_url": f"{here}/account?checkout=done#plan",
                    "cancel_url": f"{here}/account?checkout=cancelled#plan",
                }
            )
        assert page.url is not None
        return page.url

    async def portal(self, user_id: UUID, here: str) -> str:
        """Address of a page where the user changes or ends the subscription. Raises as `checkout` does."""
        async with self._locked(user_id) as session:
            customer = await self._customer(session, user_id, await _row(session, user_id))
        with _translated():
            page = await self._client.v1.billing_portal.sessions.create_async(
                params={"customer": customer, "return_url": f"{here}/account#plan"}
            )
        return page.url

    async def _customer(self, session: AsyncSession, user_id: UUID, row: Subscription | None) -> str:
        """The customer at Stripe that is this user; made when there is none."""
        if row is not None and row.customer_id is not None:
            return row.customer_id
        email = await session.scalar(select(User.email).where(User.id == user_id))
        if email is None:
            raise NotFound("There is no such account (any more).")
        with _translated():
            made = await self._client.v1.customers.create_async(
                params={"email": email, "metadata": {"user_id": str(user_id)}},
                options={"idempotency_key": f"glossline-customer-{user_id}"},
            )
        await _write(session, user_id, {"customer_id": made.id}, _without(self._plans))
        return made.id

    async def cancel(self, user_id: UUID) -> None:
        """End the subscriptions of a user at once, before the account is deleted. Raises PaymentsUnavailable,
        DatabaseUnavailable."""
        async with self._locked(user_id) as session:
            row = await _row(session, user_id)
            if row is None or row.customer_id is None:
                return
            with _translated():
                bought = await self._client.v1.subscriptions.list_async(params={"customer": row.customer_id})
                for subscription in bought.data:
                    await self._client.v1.subscriptions.cancel_async(subscription.id)

    # -- webhooks -----------------------------------------------------------------------------------------------------

    async def receive(self, body: bytes, signature: str) -> Outcome:
        """Apply a webhook: the raw body and its header Stripe-Signature. Raises InvalidSignature, PaymentsUnavailable,
        DatabaseUnavailable; Stripe sends it again after the last two."""
        try:
            stripe.WebhookSignature.verify_header(
                body.decode("utf-8"), signature, self._webhook_secret, tolerance=TOLERANCE_S
            )
            event = json.loads(body)
            key, kind, created = event["id"], event["type"], datetime.fromtimestamp(event["created"], UTC)
            subject = event["data"]["object"]
            if not (isinstance(key, str) and isinstance(kind, str) and isinstance(subject, Mapping)):
                raise TypeError("not an event")
        except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError, OverflowError, OSError):
            self._metrics.stripe_events.labels("refused").inc()
            raise InvalidSignature from None
        async with self._places:
            outcome = await self._apply(key, kind, created, subject)
        self._metrics.stripe_events.labels(outcome).inc()
        logger.info("Stripe's event {} ({}): {}", key, kind, outcome)
        return outcome

    async def _apply(self, key: str, kind: str, created: datetime, subject: Mapping[str, Any]) -> Outcome:
        if kind not in _OF_SUBSCRIPTIONS and kind != _OF_REFUNDS:
            return "ignored"
        customer = _id(subject.get("customer"))
        async with self._database.session() as session:
            # A second delivery at the same time waits here for the first to end.
            fresh = await session.scalar(
                insert(StripeEvent)
                .values(id=key, type=kind, created=created)
                .on_conflict_do_nothing()
                .returning(StripeEvent.id)
            )
            if fresh is None:
                return "repeated"
            user_id = await session.scalar(select(Subscription.user_id).where(Subscription.customer_id == customer))
            if customer is None or user_id is None:
                return "ignored"  # of another product, or of an account that was deleted
            await _lock(session, user_id)
            if kind == _OF_REFUNDS:
                await self._refund(session, user_id, customer, str(subject.get("id")))
            else:
                await self._sync(session, user_id, customer)
        return "applied"

    async def _sync(self, session: AsyncSession, user_id: UUID, customer: str) -> None:
        """Make the plan of the user what Stripe says it is now, and grant what it is worth."""
        with _translated():
            listed = await self._client.v1.subscriptions.list_async(
                params={"customer": customer, "status": "all", "limit": 100}
            )
        bought = [found for subscription in listed.data if (found := self._read(subscription)) is not None]
        await ledger.lock(session, user_id)  # held up to the end of the transaction: Stripe is not asked after this
        row = await _row(session, user_id)
        paid = [subscription for subscription in bought if subscription.status in ledger.PAID]
        if row is not None and row.source == "admin" and not paid:
            return  # what an admin gave does not end with a payment
        if bought:
            best = max(paid or bought, key=lambda one: (self._plans.rank(one.plan) if paid else 0, one.created))
            values = {
                "plan": best.plan,
                "source": "stripe",
                "status": best.status,
                "subscription_id": best.id,
                "period_end": best.period_end,
                "ends_at_period_end": best.ends_at_period_end,
            }
            await _write(session, user_id, values, _without(self._plans))
        await ledger.account(session, user_id, self._plans)

    def _read(self, subscription: stripe.Subscription) -> _Bought | None:
        """None for one of another product."""
        content = subscription.to_dict()
        items = content.get("items", {}).get("data", [])
        plans = [plan for item in items if (plan := self._plan_of.get(_id(item.get("price")) or "")) is not None]
        plans = [plan for plan in plans if plan in self._plans.plans]
        if not plans:
            return None
        ends = [item["current_period_end"] for item in items if item.get("current_period_end")]
        end = max(ends, default=content.get("current_period_end"))
        return _Bought(
            max(plans, key=self._plans.rank),
            content["id"],
            content["status"],
            content.get("created") or 0,
            datetime.fromtimestamp(end, UTC) if end else None,
            bool(content.get("cancel_at_period_end")),
        )

    async def _refund(self, session: AsyncSession, user_id: UUID, customer: str, charge_id: str) -> None:
        """Take back the part of what the plan brought this month whose payment was returned, as far as it is left."""
        with _translated():
            charge = await self._client.v1.charges.retrieve_async(charge_id)
        await self._sync(session, user_id, customer)  # what was paid may not have been granted yet
        row = await _row(session, user_id)
        if row is None or not charge.amount:
            return
        account = await ledger.account(session, user_id, self._plans)
        brought = await ledger.granted_by(session, user_id, row.plan)
        due = brought * charge.amount_refunded // charge.amount
        mine = (LedgerEntry.user_id == user_id, LedgerEntry.kind == "refund", LedgerEntry.source == charge_id)
        taken = int(await session.scalar(select(func.coalesce(-func.sum(LedgerEntry.amount), 0)).where(*mine)) or 0)
        more = min(due - taken, account.available)
        key = f"refund/{charge_id}/{charge.amount_refunded}"
        done = await session.scalar(
            select(LedgerEntry.id).where(LedgerEntry.user_id == user_id, LedgerEntry.key == key)
        )
        if more > 0 and done is None:
            await ledger.append(
                session, user_id, "refund", -more, source=charge_id, key=key, reason="the payment was returned"
            )

    @asynccontextmanager
    async def _locked(self, user_id: UUID) -> AsyncIterator[AsyncSession]:
        async with self._places, self._database.session() as session:
            await _lock(session, user_id)
            yield session


class _translated:
    """Errors of Stripe's library as one of the service."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, stripe.StripeError):
            logger.error("Stripe: {} {}", type(problem).__name__, problem.user_message or problem.code)
            raise PaymentsUnavailable from problem


def _id(value: object) -> str | None:
    """The id of an object of Stripe, which events hold as an id or whole."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else None


def _without(plans: Plans) -> dict[str, Any]:
    """Columns of a row before there is a subscription."""
    return {"plan": plans.free, "source": "stripe", "status": "none"}


async def _lock(session: AsyncSession, user_id: UUID) -> None:
    await session.execute(
        text("SELECT pg_advisory_xact_lock(:lock, hashtext(:user))"), {"lock": _LOCK, "user": str(user_id)}
    )


async def _row(session: AsyncSession, user_id: UUID) -> Subscription | None:
    return await session.get(Subscription, user_id, populate_existing=True)


async def _write(session: AsyncSession, user_id: UUID, values: dict[str, Any], otherwise: dict[str, Any]) -> None:
    """Set columns of a user's subscription. otherwise: those of a new row that `values` lacks."""
    statement = insert(Subscription).values(user_id=user_id, **{**otherwise, **values})
    await session.execute(
        statement.on_conflict_do_update(index_elements=["user_id"], set_={**values, "updated_at": func.now()})
    )
