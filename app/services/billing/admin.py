"""What an admin does to credits and plans: give and take with a reason, and a plan without a payment."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import InvalidRequest
from app.db.models.credits import Subscription
from app.services.billing import ledger
from app.services.billing.credits import Credits
from app.services.billing.ledger import Account


async def adjust(credits: Credits, user_id: UUID, amount: int, reason: str, actor: UUID | None) -> Account:
    """Give credits, or take them if `amount` is negative. Raises InvalidRequest, NotFound, DatabaseUnavailable."""
    async with credits.locked(user_id) as session:
        account = await ledger.account(session, user_id, credits.plans)
        if amount == 0 or account.available + amount < 0:
            raise InvalidRequest(
                f"credits: {amount} cannot be taken or given; {account.available} are available, and not 0 must change."
            )
        await ledger.append(session, user_id, "adjust", amount, reason=reason, actor=actor)
        return await ledger.account(session, user_id, credits.plans)


async def give_plan(credits: Credits, user_id: UUID, plan: str) -> Account:
    """Give the user a plan, which stays until another one is given or bought; the free plan takes it back. Raises
    InvalidRequest, NotFound, DatabaseUnavailable."""
    if plan not in credits.plans.plans:
        raise InvalidRequest(f"plan: there is no plan '{plan[:40]}'; choose from {', '.join(credits.plans.plans)}.")
    async with credits.locked(user_id) as session:
        await ledger.account(session, user_id, credits.plans)
        values = {"plan": plan, "source": "admin", "status": "active", "subscription_id": None, "period_end": None}
        statement = insert(Subscription).values(user_id=user_id, **values)
        await session.execute(
            statement.on_conflict_do_update(index_elements=["user_id"], set_={**values, "updated_at": func.now()})
        )
        return await ledger.account(session, user_id, credits.plans)
