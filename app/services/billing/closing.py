"""The end of an account, as far as credits and payments go."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import SubscriptionRunning
from app.db.models.credits import Subscription
from app.services.billing import ledger

#: States of a subscription in which Stripe charges, or will.
_PAYING = ("active", "trialing", "past_due", "unpaid", "incomplete", "paused")


async def close(session: AsyncSession, user_id: UUID) -> None:
    """First of all in the transaction that deletes the account: waits for what is being settled, and holds up what
    comes later. Raises SubscriptionRunning if Stripe would go on charging for it."""
    await ledger.lock(session, user_id)
    if await charged_on(session, user_id):
        raise SubscriptionRunning


async def charged_on(session: AsyncSession, user_id: UUID) -> bool:
    """Whether Stripe will charge this user again. Locks the row of the subscription."""
    found = await session.get(Subscription, user_id, with_for_update=True)
    if found is None or found.source != "stripe":
        return False
    return found.status in _PAYING and not found.ends_at_period_end
