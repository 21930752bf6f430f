"""The active checkpoint: chosen over HTTP, stored in the database, followed by every process of the service."""

from __future__ import annotations

import asyncio

from loguru import logger

from app.core.errors import CheckpointRefused, DatabaseUnavailable, DeviceFault, ServiceError, UnknownCheckpoint
from app.core.settings import Settings, SettingsError
from app.db.database import Database
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

#: Seconds between checks whether another process has changed it.
FOLLOW_S = 2.0


async def initial_checkpoint(settings: Settings, database: Database) -> CheckpointEntry:
    """The initial checkpoint: the chosen one if it can still be used, otherwise the one of the setting."""
    configured = configured_checkpoint(settings)
    try:
        chosen = await _chosen(settings, database)
        if chosen is None:
            return configured
        await asyncio.to_thread(check_usable, chosen)
    except DatabaseUnavailable:
        return configured
    except ServiceError as problem:
        logger.error("the chosen checkpoint cannot be used, using {} instead: {}", configured.id, problem)
        return configured
    return chosen


class ActiveCheckpoint:
    """Follows the choice from its creation until `close`. Needs a running event loop; use from that one."""

    def __init__(self, settings: Settings, database: Database, host: ModelHost) -> None:
        self._settings, self._database, self._host = settings, database, host
        self._one_at_a_time = asyncio.Lock()
        self._given_up: str | None = None  # a choice that could not be followed
        self._task = asyncio.create_task(self._follow(), name="active-checkpoint")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def activate(self, checkpoint: str) -> Recogniser:
        """Activate this checkpoint, at once here and soon in the other processes of the service. Raises
        UnknownCheckpoint, CheckpointRefused, DatabaseUnavailable; the old one then stays active."""
        entry = await asyncio.to_thread(find_checkpoint, self._settings, checkpoint)
        if entry is None:
            raise UnknownCheckpoint
        async with self._one_at_a_time, self._database.session() as session:
            # Stored first, and rolled back if it cannot be loaded: no other process sees it until it is active here.
            await repository.choose(session, self._settings.checkpoint, entry.id)
            recogniser = await self._use(entry)
        logger.info("checkpoint {} is now active", entry.id)
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
                    f"'{entry.id}' does not fit into memory beside the active one. Stop whatever else uses the "
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
            except Exception:  # noqa: BLE001 - the service keeps its current recogniser
                logger.exception("reading the chosen checkpoint failed; trying again")

    async def _follow_once(self) -> None:
        entry = await _chosen(self._settings, self._database)
        if entry is None or entry.id in (self._host.checkpoint, self._given_up):
            return
        try:
            await self._use(entry)
            self._given_up = None
            logger.info("checkpoint {} is now active, as chosen in another process", entry.id)
        except ServiceError as problem:
            self._given_up = entry.id
            logger.error("the chosen checkpoint cannot be used: {}", problem)


async def _chosen(settings: Settings, database: Database) -> CheckpointEntry | None:
    """None if none was chosen. Raises DatabaseUnavailable, UnknownCheckpoint."""
    async with database.session() as session:
        wanted = await repository.chosen(session, settings.checkpoint)
    if wanted is None:
        return None
    entry = await asyncio.to_thread(find_checkpoint, settings, wanted)
    if entry is None:
        raise UnknownCheckpoint(f"The chosen checkpoint '{wanted}' is not on this machine any more.")
    return entry
