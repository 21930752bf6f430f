"""What every call has: a request id, a log line, faults as statuses, and a count of those that are inside."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from loguru import logger

from app.core.errors import InternalError, ServiceError
from app.rpc.status import Refusal, refusal

Context = grpc.aio.ServicerContext[Any, Any]


class Calls:
    """For one event loop."""

    def __init__(self) -> None:
        self._inside = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def call(self, context: Context, name: str) -> AsyncIterator[None]:
        """Around a method's work: a ServiceError becomes its status, what nobody expected INTERNAL and a log entry."""
        request_id = secrets.token_hex(8)
        began = time.perf_counter()
        said = "cancelled"
        self._inside += 1
        self._quiet.clear()
        # When the answer is out, which is after this block. (The stubs ask for an instance of a class of theirs.)
        context.add_done_callback(lambda _: self._left())  # type: ignore[arg-type]
        with logger.contextualize(request_id=request_id):
            try:
                yield
                said = "OK"
            except ServiceError as problem:
                said = problem.code
                await refuse(context, refusal(problem), request_id)
            except grpc.aio.AbortError:
                said = context.code().name
                raise
            except Exception:  # noqa: BLE001 - the last place to turn an unexpected fault into an answer without internals
                said = InternalError.code
                logger.exception("unexpected fault in {}", name)
                await refuse(context, refusal(InternalError()), request_id)
            finally:
                logger.info("gRPC {} {} {:.0f} ms", name, said, (time.perf_counter() - began) * 1000)

    async def quiet(self, timeout_s: float) -> None:
        """Returns when no call is inside, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()

    def _left(self) -> None:
        self._inside -= 1
        if self._inside == 0:
            self._quiet.set()


async def refuse(context: Context, why: Refusal, request_id: str | None = None) -> None:
    """End the call with this status. Raises AbortError, which gRPC expects to see."""
    metadata = why.metadata if request_id is None else (*why.metadata, ("x-request-id", request_id))
    await context.abort(why.status, why.message, metadata)
