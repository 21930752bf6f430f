"""One transcriber for all live sessions: a thread, and turns in the order in which they are asked for; sentences that
may be over go first, so that under load partials come less often and finals do not come later."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from loguru import logger

from app.services.speech.service import SpeechService
from app.speech.engines import EngineFailed, Samples, Transcript
from app.speech.priority import lower_priority


@dataclass(frozen=True, slots=True)
class Reading:
    """What one session wants to be read."""

    samples: Samples
    language: str | None
    until: int
    """Position in the stream, in samples, up to which this is."""


class Client(Protocol):
    @property
    def urgent(self) -> bool:
        """Whether somebody waits for the end of a sentence."""
        ...

    def take_work(self) -> Reading | None:
        """What to read now; None: nothing any more."""
        ...

    def on_result(self, reading: Reading, outcome: Transcript | Exception) -> None: ...


class SpeechReader:
    """Use from one event loop."""

    def __init__(self, service: SpeechService) -> None:
        self._service = service
        self._waiting: deque[Client] = deque()
        self._something = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live-speech", initializer=lower_priority)
        self._task = asyncio.create_task(self._run(), name="speech-reader")

    def wants_turn(self, client: Client) -> None:
        """One turn each at a time: a session that asks again waits behind the others."""
        if client not in self._waiting:
            self._waiting.append(client)
            self._something.set()

    def forget(self, client: Client) -> None:
        if client in self._waiting:
            self._waiting.remove(client)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._something.clear()
                await self._something.wait()
            client = next((one for one in self._waiting if one.urgent), self._waiting[0])
            self._waiting.remove(client)
            reading = client.take_work()
            if reading is None:
                continue
            try:
                engine = self._service.transcriber()
                outcome: Transcript | Exception = await loop.run_in_executor(
                    self._thread, engine.draft, reading.samples, reading.language
                )
            except EngineFailed as problem:
                outcome = problem
            except Exception as problem:  # noqa: BLE001 - one session's failure is not that of the others
                logger.exception("live speech could not be read")
                outcome = problem
            client.on_result(reading, outcome)
