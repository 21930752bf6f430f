"""Which checkpoint answers: chosen over HTTP, kept in the database, followed by every process of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from loguru import logger

from app.core.errors import CheckpointRefused, DeviceFault, ServiceError, UnknownCheckpoint
from app.core.settings import Settings, SettingsError
from app.db.database import Database, DatabaseUnavailable
from app.db.transactions import transaction
from app.pipeline.checkpoint import CheckpointError
from app.pipeline.recogniser import Recogniser
from app.services.captions.hub import LiveHub
from app.services.recognition import repository
from app.services.recognition.checkpoint_store import Stored, check_usable, find_checkpoint, refused
from app.services.recognition.device_faults import is_device_fault, is_out_of_memory
from app.services.recognition.service import InferenceService

#: How often a process looks whether another one was told to change.
FOLLOW_S = 2.0


class CheckpointSwitch:
    """For one event loop; `start` when the recogniser is loaded, `close` with the service."""

    def __init__(self, settings: Settings, database: Database, service: InferenceService, hub: LiveHub) -> None:
        self._settings, self._database, self._service, self._hub = settings, database, service, hub
        self._task: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._given_up: str | None = None  # a choice that could not be followed

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name="checkpoint-switch")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def configured(self) -> tuple[str, Path]:
        """Id and folder of the checkpoint that the settings name."""
        return self._settings.checkpoint, self._settings.checkpoint_path

    async def at_start(self) -> tuple[str, Path]:
        """Id and folder of the checkpoint to begin with: what was chosen, if it can still be used, else the setting."""
        configured = await self.configured()
        try:
            stored = await self._chosen()
            if stored is not None:
                await asyncio.to_thread(check_usable, stored)
        except DatabaseUnavailable:
            return configured
        except ServiceError as problem:
            logger.error("the chosen checkpoint is not used, {} is: {}", configured[0], problem)
            return configured
        return (stored.id, stored.folder) if stored is not None else configured

    async def activate(self, checkpoint: str) -> Recogniser:
        """Answer with this checkpoint from now on, here at once and in the other processes of the service soon.

        Raises UnknownCheckpoint, CheckpointRefused, DatabaseUnavailable; the old one goes on answering then.
        """
        stored = await asyncio.to_thread(find_checkpoint, self._settings, checkpoint)
        if stored is None:
            raise UnknownCheckpoint
        async with self._one_at_a_time, transaction(self._database) as session:
            # Chosen first, and taken back where it cannot be loaded: no other process sees it until it answers here.
            await repository.choose(session, self._settings.checkpoint, stored.id)
            recogniser = await self._use(stored)
        logger.info("checkpoint {} answers now", stored.id)
        return recogniser

    async def _use(self, stored: Stored) -> Recogniser:
        """Raises CheckpointRefused."""
        try:
            await asyncio.to_thread(check_usable, stored)
            recogniser = await self._service.use(stored.id, stored.folder)
        except (CheckpointError, SettingsError) as problem:
            raise refused(stored, problem) from problem
        except RuntimeError as problem:
            if is_device_fault(problem):
                self._service.device.broke(problem)
                raise DeviceFault from problem
            if is_out_of_memory(problem):
                raise CheckpointRefused(
                    f"'{stored.id}' does not fit into memory beside the one that answers. Stop what else needs the "
                    "memory, or set CHECKPOINT and start the service anew."
                ) from problem
            raise refused(stored, problem) from problem
        self._hub.use(recogniser)
        return recogniser

    async def _chosen(self) -> Stored | None:
        """Raises DatabaseUnavailable, UnknownCheckpoint."""
        async with self._database.session() as session:
            wanted = await repository.chosen(session, self._settings.checkpoint)
        if wanted is None:
            return None
        stored = await asyncio.to_thread(find_checkpoint, self._settings, wanted)
        if stored is None:
            raise UnknownCheckpoint(f"The chosen checkpoint '{wanted}' is not on this machine any more.")
        return stored

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
        stored = await self._chosen()
        if stored is None or stored.id in (self._service.checkpoint, self._given_up):
            return
        try:
            await self._use(stored)
            self._given_up = None
            logger.info("checkpoint {} answers now, as another process was told", stored.id)
        except ServiceError as problem:
            self._given_up = stored.id
            logger.error("the chosen checkpoint is not used: {}", problem)
