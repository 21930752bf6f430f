"""Reservations in the database: credits set aside for work that has begun, and what becomes of those of dead processes.

All functions that change one expect the lock of its user to be held (see ledger)."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psutil
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.credits import ReservationRow
from app.services.billing import idempotency, ledger
from app.services.billing.plans import Kind, Plans

#: An owner on another machine that was silent for this many seconds counts as dead.
AWAY_S = 60.0
#: Closed reservations and idempotency keys are kept this long.
KEPT = "30 days"
KEY_KEPT = "24 hours"


@dataclass(frozen=True, slots=True)
class Debit:
    """What settling a reservation came to."""

    debited: int
    """Credits."""
    missing: int
    """Credits that the work cost beyond what there was."""
    available: int
    """Credits left."""


def this_process() -> str:
    """The name of this process as an owner: machine, id, start; ids are used again."""
    return f"{platform.node() or 'localhost'}/{os.getpid()}/{_start_of(psutil.Process())}"


def _start_of(process: psutil.Process) -> str:
    """Which start of the machine, and seconds since then: neither changes when the clock does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:  # not Linux
        return f"{process.create_time():.0f}"
    return f"{boot}+{process.create_time() - psutil.boot_time():.0f}"


async def get_open(session: AsyncSession, reservation_id: UUID) -> ReservationRow | None:
    """The reservation, if nothing has closed it."""
    query = select(ReservationRow).where(ReservationRow.id == reservation_id, ReservationRow.state == "open")
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def close(session: AsyncSession, row: ReservationRow, seconds: float, plans: Plans) -> Debit:
    """Settle an open reservation for what was used; 0 seconds: release it. Only what is there is taken."""
    kind: Kind = "live" if row.kind == "live" else "clip"
    price = plans.credits(kind, seconds)
    # First of all: what it held is free for its own debit.
    row.state, row.closed_at, row.used_s = ("settled" if price else "released"), func.now(), seconds
    await session.flush()
    account = await ledger.account(session, row.user_id, plans)
    debited = min(price, account.available)
    if debited:
        await ledger.append(
            session, row.user_id, "debit", -debited, source=kind, seconds=seconds, reservation_id=row.id
        )
    if not price:
        await idempotency.forget(session, row.id)
    return Debit(debited, price - debited, account.available - debited)


async def touch(session: AsyncSession, owner: str) -> None:
    """`owner` still works for its reservations."""
    await session.execute(
        update(ReservationRow)
        .where(ReservationRow.owner == owner, ReservationRow.state == "open")
        .values(owner_seen=func.now())
    )


async def abandoned(session: AsyncSession, owner: str, others_too: bool) -> Sequence[tuple[UUID, UUID]]:
    """(id, user) of open reservations whose process is dead. others_too: also those of other machines, which count as
    dead when they were silent for AWAY_S."""
    rows = await session.execute(
        select(
            ReservationRow.id,
            ReservationRow.user_id,
            ReservationRow.owner,
            func.extract("epoch", func.now() - ReservationRow.owner_seen),
        ).where(ReservationRow.state == "open", ReservationRow.owner != owner)
    )
    host = owner.partition("/")[0]
    return [
        (reservation, user)
        for reservation, user, other, silent in rows
        if _dead(other, host) or (others_too and float(silent) > AWAY_S)
    ]


def _dead(owner: str, host: str) -> bool:
    """Whether the owner is a process of this machine that has ended."""
    machine, pid, began = owner.rsplit("/", 2)
    if machine != host:
        return False
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        boot, _, seconds = began.rpartition("+")
        boot_now, _, seconds_now = _start_of(process).rpartition("+")
        if boot_now and not boot:  # an owner of an earlier version, by the clock
            seconds_now, boot = str(process.create_time()), boot_now
        return boot != boot_now or abs(float(seconds) - float(seconds_now)) > 2
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False


async def purge(session: AsyncSession) -> None:
    """Forget closed reservations and answers to idempotency keys that are old."""
    await session.execute(text(f"DELETE FROM reservations WHERE closed_at < now() - interval '{KEPT}'"))
    await session.execute(text(f"DELETE FROM idempotency WHERE created_at < now() - interval '{KEY_KEPT}'"))
