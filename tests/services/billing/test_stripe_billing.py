"""Stripe: the official library against a server on this machine, and webhooks signed as Stripe signs them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core import errors
from app.core.settings import Settings
from app.db.database import Database
from app.monitoring.metrics import Metrics
from app.services.billing import admin, ledger
from app.services.billing.credits import Credits
from app.services.billing.plans import load_plans
from app.services.billing.stripe_billing import StripeBilling
from tests.support.ledger import credits_of, new_user, opened, rows
from tests.support.stripe_server import KEY, PRICES, SECRET, LocalStripe, local_stripe, signed

FREE, PRO = 1_800, 72_000


@dataclass
class House:
    """A service with billing, and Stripe."""

    database: Database
    credits: Credits
    billing: StripeBilling
    stripe: LocalStripe

    async def customer(self, plan: str = "pro") -> tuple[UUID, str, str]:
        """A user who went to the checkout: the account, the customer and the session at Stripe."""
        user = (await new_user(self.database)).user_id
        assert user is not None
        async with self.credits.locked(user) as session:  # the month has begun before anything is bought
            await ledger.account(session, user, self.credits.plans)
        url = await self.billing.checkout(user, plan, "http://here")
        session = url.rpartition("/")[2]
        return user, self.stripe.sessions[session]["customer"], session

    async def send(self, event: dict[str, Any]) -> str:
        return await self.billing.receive(*signed(event))

    async def state(self, user: UUID) -> tuple[str, str, int]:
        """Plan in force, status at Stripe, balance."""
        async with self.credits.locked(user) as session:
            account = await ledger.account(session, user, self.credits.plans)
        status = (await rows(self.database, "SELECT status FROM subscriptions WHERE user_id = :u", u=user))[0][0]
        return account.plan_name, status, account.balance


@asynccontextmanager
async def house_at(url: str) -> AsyncIterator[House]:
    async with opened(url) as database, local_stripe() as stripe, credits_of(database, load_plans()) as credits:
        settings = Settings(
            _env_file=None,
            stripe_secret_key=KEY,
            stripe_webhook_secret=SECRET,
            stripe_prices=PRICES,
            stripe_api=stripe.url,
        )
        billing = StripeBilling(settings, database, credits.plans, Metrics())
        yield House(database, credits, billing, stripe)
        await billing.close()


@pytest_asyncio.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with house_at(database_url) as house:
        yield house


async def test_checkout_makes_one_customer_and_paying_brings_the_plan(house: House) -> None:
    user, customer, session = await house.customer()
    assert house.stripe.customers[customer]["metadata"] == {"user_id": str(user)}
    assert house.stripe.sessions[session]["success_url"] == "http://here/account?checkout=done#plan"
    await house.billing.checkout(user, "enterprise", "http://here")
    assert len(house.stripe.customers) == 1
    assert await house.state(user) == ("free", "none", FREE)
    assert await house.send(house.stripe.pay(session)) == "applied"
    assert await house.state(user) == ("pro", "active", PRO)
    with pytest.raises(errors.AlreadySubscribed):
        await house.billing.checkout(user, "pro", "http://here")
    assert "/portal/" in await house.billing.portal(user, "http://here")
    await house.billing.cancel(user)
    assert [s["status"] for s in house.stripe.subscriptions.values()] == ["canceled"]


async def test_what_is_not_sold_cannot_be_bought(house: House) -> None:
    user = (await new_user(house.database)).user_id
    assert user is not None
    for plan in ("free", "gold", ""):
        with pytest.raises(errors.InvalidRequest, match="choose from pro, enterprise"):
            await house.billing.checkout(user, plan, "http://here")


async def test_each_of_three_events_twice_in_every_order_has_one_effect(house: House) -> None:
    """Bought, half refunded, and cancelled for the end of the month: all that happened at Stripe before it could say
    so, as after an outage. With them one forged and one ten minutes old."""
    for order in itertools.permutations(range(3)):
        user, customer, _ = await house.customer()
        key = house.stripe.subscribe(customer)
        subscription = house.stripe.subscriptions[key]
        created = house.stripe.event("customer.subscription.created", {**subscription, "status": "incomplete"})
        charge = house.stripe.charge(customer, amount=1000, refunded=500)
        refunded = house.stripe.event("charge.refunded", house.stripe.charges[charge])
        subscription["cancel_at_period_end"] = True
        updated = house.stripe.event("customer.subscription.updated", subscription)
        events = [(created, refunded, updated)[i] for i in order]
        outcomes = [await house.send(event) for event in (*events, *events)]
        assert outcomes == ["applied"] * 3 + ["repeated"] * 3
        with pytest.raises(errors.InvalidSignature):
            await house.billing.receive(*signed({**updated, "id": "evt_forged"}, secret="whsec_wrong"))
        with pytest.raises(errors.InvalidSignature):
            await house.billing.receive(*signed({**updated, "id": "evt_old"}, age_s=600))
        assert await house.state(user) == ("pro", "active", PRO - (PRO - FREE) // 2)
        ledger = await rows(
            house.database, "SELECT kind, amount FROM ledger WHERE user_id = :u ORDER BY number", u=user
        )
        assert sorted(ledger) == [("grant", FREE), ("grant", PRO - FREE), ("refund", -(PRO - FREE) // 2)]
    assert await house.credits.check() == 0


async def test_the_same_for_created_payment_failed_and_deleted(house: House) -> None:
    """What counts is what Stripe says now: the subscription has ended."""
    for order in itertools.permutations(range(3)):
        user, customer, session = await house.customer()
        created = house.stripe.pay(session)
        subscription = next(s for s in house.stripe.subscriptions.values() if s["customer"] == customer)
        failed = house.stripe.event("invoice.payment_failed", {"id": "in_1", "object": "invoice", "customer": customer})
        subscription["status"] = "canceled"
        deleted = house.stripe.event("customer.subscription.deleted", subscription)
        events = [(created, failed, deleted)[i] for i in order]
        outcomes = await asyncio.gather(*(house.send(event) for event in (*events, *events)))
        assert sorted(outcomes) == ["applied"] * 3 + ["repeated"] * 3
        assert await house.state(user) == ("free", "canceled", FREE)


async def test_events_at_their_time_have_their_effect(house: House) -> None:
    user, customer, session = await house.customer()
    await house.send(house.stripe.pay(session))
    subscription = next(s for s in house.stripe.subscriptions.values() if s["customer"] == customer)
    for status, plan in (("past_due", "free"), ("active", "pro"), ("canceled", "free")):
        subscription["status"] = status
        await house.send(house.stripe.event("customer.subscription.updated", subscription))
        assert await house.state(user) == (plan, status, PRO), "credits that were paid stay"
    await house.send(house.stripe.event("charge.refunded", house.stripe.charges[house.stripe.charge(customer, 9, 9)]))
    assert await house.state(user) == ("free", "canceled", FREE)


async def test_a_refund_takes_no_more_than_is_left(house: House) -> None:
    user, customer, session = await house.customer()
    await house.send(house.stripe.pay(session))
    await admin.adjust(house.credits, user, -71_990, "used", None)
    await house.send(house.stripe.event("charge.refunded", house.stripe.charges[house.stripe.charge(customer, 9, 9)]))
    assert (await house.state(user))[2] == 0


async def test_the_same_event_at_the_same_time_has_one_effect(house: House) -> None:
    user, _, session = await house.customer()
    event = house.stripe.pay(session)
    outcomes = await asyncio.gather(*(house.send(event) for _ in range(12)))
    assert sorted(outcomes) == ["applied"] + ["repeated"] * 11
    assert await house.state(user) == ("pro", "active", PRO)


async def test_an_event_whose_effect_failed_is_not_counted_and_works_when_it_comes_again(house: House) -> None:
    user, _, session = await house.customer()
    event = house.stripe.pay(session)
    house.stripe.broken = True
    with pytest.raises(errors.PaymentsUnavailable):
        await house.send(event)
    house.stripe.broken = False
    assert await house.state(user) == ("free", "none", FREE)
    assert await house.send(event) == "applied"
    assert await house.state(user) == ("pro", "active", PRO)


async def test_a_larger_of_two_subscriptions_counts(house: House) -> None:
    user, customer, session = await house.customer()
    await house.send(house.stripe.pay(session))
    key = house.stripe.subscribe(customer, PRICES["enterprise"], created=1)
    await house.send(house.stripe.event("customer.subscription.created", house.stripe.subscriptions[key]))
    assert await house.state(user) == ("enterprise", "active", 1_000_000)


async def test_what_an_admin_gave_does_not_end_with_a_payment(house: House) -> None:
    user, customer, _ = await house.customer()
    await admin.give_plan(house.credits, user, "enterprise")
    key = house.stripe.subscribe(customer, status="canceled")
    await house.send(house.stripe.event("customer.subscription.deleted", house.stripe.subscriptions[key]))
    assert (await house.state(user))[0] == "enterprise"


async def test_an_admin_gives_no_plan_to_somebody_whom_stripe_charges(house: House) -> None:
    user, _, session = await house.customer()
    await house.send(house.stripe.pay(session))
    with pytest.raises(errors.SubscriptionRunning, match="End the subscription"):
        await admin.give_plan(house.credits, user, "enterprise")
    (key,) = house.stripe.subscriptions
    house.stripe.subscriptions[key]["status"] = "canceled"
    await house.send(house.stripe.event("customer.subscription.deleted", house.stripe.subscriptions[key]))
    await admin.give_plan(house.credits, user, "enterprise")
    assert (await house.state(user))[0] == "enterprise"


async def test_events_of_others_are_ignored(house: House) -> None:
    assert await house.send(house.stripe.event("product.created", {"id": "prod_1"})) == "ignored"
    assert await house.send(house.stripe.event("invoice.paid", {"id": "in_1", "customer": "cus_other"})) == "ignored"
    assert await house.send(house.stripe.event("invoice.paid", {"id": "in_1"})) == "ignored"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"id": 1}', b"\xff\xfe", b'{"id": "e", "type": "t", "created": 1e300}'],
)
async def test_bodies_that_are_no_event_are_refused_though_signed(house: House, body: bytes) -> None:
    with pytest.raises(errors.InvalidSignature):
        await house.billing.receive(*signed(body))


@pytest.mark.parametrize("header", ["", "t=1", "v1=abc", "t=x,v1=y", "t=99999999999999999999,v1=y", "nonsense"])
async def test_headers_that_are_no_signature_are_refused(house: House, header: str) -> None:
    event = house.stripe.event("invoice.paid", {"id": "in_1"})
    with pytest.raises(errors.InvalidSignature):
        await house.billing.receive(json.dumps(event).encode(), header)


async def test_a_body_changed_by_one_character_is_refused(house: House) -> None:
    body, header = signed(house.stripe.event("invoice.paid", {"id": "in_1"}))
    with pytest.raises(errors.InvalidSignature):
        await house.billing.receive(body.replace(b"in_1", b"in_2"), header)
