"""Plans, credits and payments over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request

from app.api.access import CurrentPrincipal, OwnId, SignedInId, admins_only
from app.api.dependencies import ServicesDep
from app.api.payment import idempotency_header
from app.api.problems import responses
from app.api.schemas.billing import (
    Adjustment,
    Balance,
    CheckoutRequest,
    DayOfUsage,
    Entries,
    Entry,
    GivingBack,
    Page,
    PlanGrant,
    PlanList,
    Received,
    SubscriptionInfo,
    Usage,
)
from app.core import errors
from app.services.billing import admin, reports
from app.services.billing.credits import Credits
from app.services.billing.stripe_billing import StripeBilling

router = APIRouter(prefix="/api/billing", tags=["billing"])

#: Stripe's events have a few KiB.
MAX_BODY_BYTES = 256 << 10
_OWN = (
    errors.Unauthenticated,
    errors.Forbidden,
    errors.NotFound,
    errors.InvalidRequest,
    errors.TooManyRequests,
    errors.DatabaseUnavailable,
    errors.NotReady,
    errors.InternalError,
)
_PAYING = (*_OWN, errors.UploadTooLarge, errors.AlreadySubscribed, errors.PaymentsUnavailable)


def _credits(services: ServicesDep) -> Credits:
    """Raises NotFound where nothing is charged."""
    if not services.credits.charging:
        raise errors.NotFound("This service charges nothing (AUTH_MODE=open), so there are no credits.")
    return services.credits


def _stripe(services: ServicesDep) -> StripeBilling:
    if services.stripe is None:
        raise errors.NotFound("This service takes no payments (no STRIPE_SECRET_KEY). An admin can change the plan.")
    return services.stripe


CreditsDep = Annotated[Credits, Depends(_credits)]
StripeDep = Annotated[StripeBilling, Depends(_stripe)]
AdjustmentKey = Annotated[
    str | None,
    idempotency_header("Any text that is new for each change: sent again with it, nothing is changed again."),
]


@router.get("/plans", summary="Plans", responses=responses((errors.NotReady, errors.InternalError)))
async def plans(services: ServicesDep) -> PlanList:
    """The plans and what a second costs."""
    sold = set(services.settings.stripe_prices) if services.stripe is not None else set()
    return PlanList.of(services.credits.plans, sold)


@router.get("/usage", summary="Credits and usage", responses=responses(_OWN))
async def usage(user_id: OwnId, credits: CreditsDep) -> Usage:
    """What the account has, and what it used in the last 30 days."""
    account = await credits.account_of(user_id)
    async with credits.database.session() as session:
        row = await reports.subscription(session, user_id)
        days = await reports.daily(session, user_id)
    return Usage(
        credits=Balance.of(account),
        subscription=None if row is None else SubscriptionInfo.of(row),
        days=[DayOfUsage.of(day) for day in days],
    )


@router.get("/ledger", summary="Every change of the credits", responses=responses(_OWN))
async def ledger(
    user_id: OwnId,
    credits: CreditsDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="`before` of the page that came before this one.")
    ] = None,
) -> Entries:
    """Newest first; the amounts of all entries add up to the balance."""
    async with credits.database.session() as session:
        found = await reports.entries(session, user_id, limit, before)
    more = len(found) == limit and found[-1].number > 1
    return Entries(entries=[Entry.of(entry) for entry in found], before=found[-1].number if more else None)


# -- payments ----------------------------------------------------------------------------------------------------------


@router.post("/checkout", summary="Buy a plan", responses=responses(_PAYING))
async def checkout(user_id: SignedInId, asked: CheckoutRequest, request: Request, stripe: StripeDep) -> Page:
    """A page at Stripe where the plan is paid. The plan applies when Stripe has reported the payment."""
    return Page(url=await stripe.checkout(user_id, asked.plan, _here(request)))


@router.post("/portal", summary="Change or end the subscription", responses=responses(_PAYING))
async def portal(user_id: SignedInId, request: Request, stripe: StripeDep) -> Page:
    """A page at Stripe for cards, invoices, another plan, and the end of the subscription."""
    return Page(url=await stripe.portal(user_id, _here(request)))


@router.post(
    "/webhook",
    summary="Events of Stripe",
    responses=responses(
        (
            errors.InvalidSignature,
            errors.NotFound,
            errors.UploadTooLarge,
            errors.InvalidRequest,
            errors.PaymentsUnavailable,
            errors.DatabaseUnavailable,
            errors.NotReady,
            errors.InternalError,
        )
    ),
    openapi_extra={
        "requestBody": {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/StripeEventBody"}}},
            "required": True,
        }
    },
)
async def webhook(
    request: Request,
    stripe: StripeDep,
    signature: Annotated[str, Header(alias="Stripe-Signature", max_length=2000)] = "",
) -> Received:
    """For Stripe alone: the signature is checked on the raw body, and an event has its effect once."""
    return Received(outcome=await stripe.receive(await request.body(), signature))


def _here(request: Request) -> str:
    """Where people reach the service."""
    configured: str | None = request.app.state.services.settings.public_url
    return configured or str(request.base_url).rstrip("/")


# -- for admins --------------------------------------------------------------------------------------------------------


@router.get("/users/{user_id}", summary="Credits of a user", responses=responses(_OWN), dependencies=[admins_only])
async def credits_of_user(user_id: UUID, credits: CreditsDep) -> Balance:
    """For admins."""
    return Balance.of(await credits.account_of(user_id))


@router.post(
    "/users/{user_id}/credits",
    summary="Give or take credits",
    responses=responses((*_OWN, errors.UploadTooLarge, errors.IdempotencyMismatch)),
    dependencies=[admins_only],
)
async def adjust(
    user_id: UUID, asked: Adjustment, credits: CreditsDep, principal: CurrentPrincipal, key: AdjustmentKey = None
) -> Balance:
    """For admins. The reason stands in the ledger, where the user reads it."""
    account = await admin.adjust(credits, user_id, asked.credits, asked.reason, principal.user_id, key)
    return Balance.of(account)


@router.post(
    "/users/{user_id}/give-back",
    summary="Give back what a debit took",
    responses=responses((*_OWN, errors.UploadTooLarge)),
    dependencies=[admins_only],
)
async def give_back(user_id: UUID, asked: GivingBack, credits: CreditsDep, principal: CurrentPrincipal) -> Balance:
    """For admins; once for each debit, so that sending it again changes nothing."""
    account = await admin.give_back(credits, user_id, asked.number, asked.credits, asked.reason, principal.user_id)
    return Balance.of(account)


@router.post(
    "/users/{user_id}/plan",
    summary="Give a plan",
    responses=responses((*_OWN, errors.UploadTooLarge, errors.SubscriptionRunning)),
    dependencies=[admins_only],
)
async def give_plan(user_id: UUID, asked: PlanGrant, credits: CreditsDep, principal: CurrentPrincipal) -> Balance:
    """For admins: a plan without a payment, until another one is given or bought. The free plan takes it back."""
    return Balance.of(await admin.give_plan(credits, user_id, asked.plan, asked.reason, principal.user_id))
