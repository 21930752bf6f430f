"""Which checkpoint answers: chosen over HTTP, kept in the database, followed by every process of the service."""

from __future__ import annotations

import asyncio

from loguru import logger

from app.core.errors import CheckpointRefused, DeviceFault, ServiceError, UnknownCheckpoint
from app.core.settings import Settings, SettingsError
from app.db.database import Database, DatabaseUnavailable
from app.db.transactions import transaction
from app.pipeline.checkpoint import CheckpointError
from app.pipeline.recogniser import Recogniser
from app.services.recognition import repository
from app.services.recognition.checkpoint_store import (
    CheckpointEntry,
    check_usable,
    configured_checkpoint,
    find_checkpoint,
    refused,
)
from app.services.recognition.device_faults import is_device_fault, is_out_of_memory
from app.services.recognition.model_host import ModelHost

#: How often a process looks whether another one has changed.
FOLLOW_S = 2.0


async def initial_checkpoint(settings: Settings, database: Database) -> CheckpointEntry:
    """The checkpoint to begin with: what was chosen, if it can still be used, else what the setting names."""
    configured = configured_checkpoint(settings)
    try:
        chosen = await _chosen(settings, database)
        if chosen is None:
            return configured
        await asyncio.to_thread(check_usable, chosen)
    except DatabaseUnavailable:
        return configured
    except ServiceError as problem:
        logger.error("the chosen checkpoint is not used, {} is: {}", configured.id, problem)
        return configured
    return chosen


class ActiveCheckpoint:
    """The choice of one service, followed from here until `close`. Needs a running event loop, and belongs to it."""

    def __init__(self, settings: Settings, database: Database, host: ModelHost) -> None:
        self._settings, self._database, self._host = settings, database, host
        self._one_at_a_time = asyncio.Lock()
        self._given_up: str | None = None  # a choice that could not be followed
        self._task = asyncio.create_task(self._follow(), name="active-checkpoint")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def activate(self, checkpoint: str) -> Recogniser:
        """Answer with this checkpoint from now on, here at once and in the other processes of the service soon.

        Raises UnknownCheckpoint, CheckpointRefused, DatabaseUnavailable; the old one goes on answering then.
        """
        entry = await asyncio.to_thread(find_checkpoint, self._settings, checkpoint)
        if entry is None:
            raise UnknownCheckpoint
        async with self._one_at_a_time, transaction(self._database) as session:
            # Chosen first, and taken back where it cannot be loaded: no other process sees it until it answers here.
            await repository.choose(session, self._settings.checkpoint, entry.id)
            recogniser = await self._use(entry)
        logger.info("checkpoint {} answers now", entry.id)
        return recogniser

    async def _use(self, entry: CheckpointEntry) -> Recogniser:
        """Raises CheckpointRefused, DeviceFault."""
        try:
            await asyncio.to_thread(check_usable, entry)
            return await self._host.use(entry)
        except (CheckpointError, SettingsError) as problem:
            raise refused(entry, problem) from problem
        except RuntimeError as problem:
            if is_device_fault(problem):
                self._host.device.broke(problem)
                raise DeviceFault from problem
            if is_out_of_memory(problem):
                raise CheckpointRefused(
                    f"'{entry.id}' does not fit into memory beside the one that answers. Stop what else needs the "
                    "memory, or set CHECKPOINT and restart the service."
                ) from problem
            raise refused(entry, problem) from problem

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                async with self._one_at_a_time:
                    await self._follow_once()
            except (DatabaseUnavailable, UnknownCheckpoint):
                continue
            except Exception:  # noqa: BLE001 - the service goes on with the recogniser it has
                logger.exception("looking for the chosen checkpoint failed; it is tried again")

    async def _follow_once(self) -> None:
        entry = await _chosen(self._settings, self._database)
        if entry is None or entry.id in (self._host.checkpoint, self._given_up):
            return
        try:
            await self._use(entry)
            self._given_up = None
            logger.info("checkpoint {} answers now, as chosen in another process", entry.id)
        except ServiceError as problem:
            self._given_up = entry.id
            logger.error("the chosen checkpoint is not used: {}", problem)


async def _chosen(settings: Settings, database: Database) -> CheckpointEntry | None:
    """None where nobody chose. Raises DatabaseUnavailable, UnknownCheckpoint."""
    async with database.session() as session:
        wanted = await repository.chosen(session, settings.checkpoint)
    if wanted is None:
        return None
    entry = await asyncio.to_thread(find_checkpoint, settings, wanted)
    if entry is None:
        raise UnknownCheckpoint(f"The chosen checkpoint '{wanted}' is not on this machine any more.")
    return entry
