"""What an admin does to credits and plans: give, take and give back with a reason, and a plan without a payment."""

from __future__ import annotations

from uuid import UUID

from loguru import logger
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdempotencyMismatch, InvalidRequest, NotFound, SubscriptionRunning
from app.db.models.credits import LedgerEntry, Subscription
from app.services.billing import ledger
from app.services.billing.closing import charged_on
from app.services.billing.credits import Credits
from app.services.billing.ledger import Account


async def adjust(
    credits: Credits, user_id: UUID, amount: int, reason: str, actor: UUID | None, key: str | None = None
) -> Account:
    """Give credits, or take them if `amount` is negative. key: names this one change; sent again, it changes nothing.
    Raises InvalidRequest, IdempotencyMismatch, NotFound, DatabaseUnavailable."""
    stored = None if key is None else f"admin/{key}"
    async with credits.locked(user_id) as session:
        account = await ledger.account(session, user_id, credits.plans)
        known = await _known(session, user_id, stored)
        if known is not None:
            if (known.amount, known.reason) != (amount, reason):
                raise IdempotencyMismatch
            return account
        if amount == 0 or account.available + amount < 0:
            raise InvalidRequest(
                f"credits: {amount} cannot be taken or given; {account.available} are available, and not 0 must change."
            )
        await ledger.append(session, user_id, "adjust", amount, reason=reason, actor=actor, key=stored)
        changed = await ledger.account(session, user_id, credits.plans)
    _log("credits", user_id, actor, reason, credits=amount)
    return changed


async def give_back(
    credits: Credits, user_id: UUID, number: int, amount: int, reason: str, actor: UUID | None
) -> Account:
    """Give back credits of one debit, which happens once for each: all of it, or less. number: of its entry in the
    ledger of this user. Raises InvalidRequest, NotFound, DatabaseUnavailable."""
    stored = f"give-back/{number}"
    async with credits.locked(user_id) as session:
        account = await ledger.account(session, user_id, credits.plans)
        debit = await session.scalar(
            select(LedgerEntry).where(
                LedgerEntry.user_id == user_id, LedgerEntry.number == number, LedgerEntry.kind == "debit"
            )
        )
        if debit is None:
            raise NotFound(f"The ledger of this account has no debit with the number {number}.")
        known = await _known(session, user_id, stored)
        if known is not None:
            if known.amount != amount:
                raise InvalidRequest(f"credits: {known.amount} of this debit were given back already.")
            return account
        if not 0 < amount <= -debit.amount:
            raise InvalidRequest(f"credits: from 1 to {-debit.amount} can be given back, which is what the debit took.")
        await ledger.append(session, user_id, "adjust", amount, reason=reason, actor=actor, key=stored)
        changed = await ledger.account(session, user_id, credits.plans)
    _log("give back", user_id, actor, reason, credits=amount)
    return changed


async def give_plan(
    credits: Credits, user_id: UUID, plan: str, reason: str | None = None, actor: UUID | None = None
) -> Account:
    """Give the user a plan, which stays until another one is given or bought; the free plan takes it back. Raises
    InvalidRequest, NotFound, DatabaseUnavailable, and SubscriptionRunning while Stripe charges for another plan."""
    if plan not in credits.plans.plans:
        raise InvalidRequest(f"plan: there is no plan '{plan[:40]}'; choose from {', '.join(credits.plans.plans)}.")
    async with credits.locked(user_id) as session:
        await ledger.account(session, user_id, credits.plans)
        if await charged_on(session, user_id):
            raise SubscriptionRunning(
                "This account pays for its plan through Stripe, which would go on charging for it. End the "
                "subscription there first, or let the user do so (POST /api/billing/portal); credits can be given "
                "meanwhile."
            )
        values = {"plan": plan, "source": "admin", "status": "active", "subscription_id": None, "period_end": None}
        statement = insert(Subscription).values(user_id=user_id, **values)
        await session.execute(
            statement.on_conflict_do_update(index_elements=["user_id"], set_={**values, "updated_at": func.now()})
        )
        account = await ledger.account(session, user_id, credits.plans)
    _log("plan", user_id, actor, reason, plan=plan)
    return account


async def _known(session: AsyncSession, user_id: UUID, key: str | None) -> LedgerEntry | None:
    """The entry that this key has made before."""
    if key is None:
        return None
    return await session.scalar(select(LedgerEntry).where(LedgerEntry.user_id == user_id, LedgerEntry.key == key))


def _log(action: str, user_id: UUID, actor: UUID | None, reason: str | None, **changed: object) -> None:
    """Once it is committed."""
    line = logger.bind(
        event="admin_action", action=action, admin=str(actor or ""), user=str(user_id), reason=reason or "", **changed
    )
    said = ", ".join(f"{name} {value}" for name, value in changed.items())
    line.info("admin {} changed account {}: {}; reason: {}", actor or "(a command)", user_id, said, reason or "none")
