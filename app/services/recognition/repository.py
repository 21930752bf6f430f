"""The chosen checkpoint in the database."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import CheckpointChoice


async def chosen(session: AsyncSession, configured: str) -> str | None:
    """The checkpoint chosen for services with this CHECKPOINT; None if none was chosen."""
    return await session.scalar(select(CheckpointChoice.checkpoint).where(CheckpointChoice.configured == configured))


async def choose(session: AsyncSession, configured: str, checkpoint: str) -> None:
    row = insert(CheckpointChoice).values(configured=configured, checkpoint=checkpoint)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=[CheckpointChoice.configured], set_={"checkpoint": checkpoint, "chosen_at": func.now()}
        )
    )
