"""Writes records to the database in the background, in order; while it is away, they wait in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import DatabaseUnavailable
from app.db.database import Database
from app.services.history import repository
from app.services.history.records import Line, Record

#: Records that may wait for the database; further lines are refused, further sessions are not kept. About 2 KiB each.
MAX_WAITING = 5000
#: Records of one transaction.
BATCH = 100
#: Seconds between two attempts while the database is away, and for one transaction.
RETRY_S, TRANSACTION_S = 1.0, 30.0
#: Seconds to write what waits when the service ends.
LAST_S = 5.0


class Writer:
    """Runs from its creation until `close`. Use from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Record] = deque()
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._task = asyncio.create_task(self._run(), name="history-writer")

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING

    def put(self, record: Record) -> bool:
        """Keep it; False for a line for which there is no room. The other records, of which a session has two, always
        find room."""
        if isinstance(record, Line) and self.full:
            return False
        self._waiting.append(record)
        self._some.set()
        self._none.clear()
        return True

    async def written(self) -> None:
        """Return when nothing waits any more."""
        await self._none.wait()

    async def close(self) -> None:
        """Write what waits, for at most LAST_S seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await self.written()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._waiting:
            logger.error("{} records of the history are lost: the database was away to the end", len(self._waiting))

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write(batch)
            except (DatabaseUnavailable, TimeoutError):
                await asyncio.sleep(RETRY_S)
                continue
            except Exception:  # noqa: BLE001 - one record must not keep the others from being written
                logger.exception("{} records of the history cannot be written", len(batch))
            for _ in batch:
                self._waiting.popleft()
            if not self._waiting:
                self._some.clear()
                self._none.set()

    async def _write(self, batch: Sequence[Record]) -> None:
        """All of the batch that can be written: not what belongs to accounts and sessions that were deleted meanwhile.
        Writing a record twice changes nothing. Raises DatabaseUnavailable, TimeoutError."""
        try:
            await self._transaction(batch)
        except SQLAlchemyError:
            for record in batch:
                try:
                    await self._transaction([record])
                except SQLAlchemyError as problem:
                    logger.info(
                        "a record of the history was not written: its session or account was deleted ({})",
                        type(problem).__name__,
                    )

    async def _transaction(self, records: Sequence[Record]) -> None:
        async with asyncio.timeout(TRANSACTION_S), self._database.session() as session:
            for record in records:
                await repository.write(session, record)
