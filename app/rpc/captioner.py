"""The service glossline.v1.Captioner: thin methods over clips and live captions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import zip_longest

from loguru import logger

from app.core.errors import InternalError, InvalidRequest, ServiceError
from app.rpc.access import CALLER, key_of
from app.rpc.calls import ActiveCalls, Context
from app.rpc.clips import recognise
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1 import captioner_pb2_grpc
from app.rpc.messages import vocabulary
from app.rpc.status import status_of
from app.rpc.streaming import converse
from app.services.billing import idempotency
from app.services.billing.idempotency import Key
from app.services.container import Services
from app.services.history.service import checked_owner
from app.services.recognition.vocabularies import Vocabulary, Wanted
from app.services.signs.reading import found

#: Clips in one RecogniseBatch.
MAX_CLIPS = 32


class Captioner(captioner_pb2_grpc.CaptionerServicer):
    """The unary methods raise ServiceError; AdmissionInterceptor turns that into a status."""

    def __init__(self, services: Services, calls: ActiveCalls) -> None:
        self._services, self._calls = services, calls

    async def Recognise(self, request: pb.RecogniseRequest, context: Context) -> pb.Recognition:
        key, named = key_of(context, request), vocabulary(request.vocabulary)
        read_with = await self._wanted(named, request.sign_sets)
        return await recognise(request.clip, named, read_with, self._services, CALLER.get(), key, request.save)

    async def RecogniseBatch(self, request: pb.RecogniseBatchRequest, context: Context) -> pb.RecogniseBatchResponse:
        if not 1 <= len(request.clips) <= MAX_CLIPS:
            raise InvalidRequest(f"clips: {len(request.clips)} clips; 1 to {MAX_CLIPS} are accepted in one call.")
        named, key = vocabulary(request.vocabulary), key_of(context, request)
        if request.save:
            checked_owner(self._services.history, CALLER.get())
        read_with = await self._wanted(named, request.sign_sets)
        keys = [] if key is None else idempotency.parts(key, len(request.clips))
        await self._services.credits.check_keys(CALLER.get(), keys)
        await self._services.clips.check_vocabulary(read_with)
        # As many at once as share one call of the model; more would only occupy places that other clients need.
        settings = self._services.settings
        places = asyncio.Semaphore(min(settings.max_batch, settings.max_concurrent_requests))
        each = zip_longest(request.clips, keys)
        work = (self._result(clip, own, named, read_with, places, request.save) for clip, own in each)
        results = await asyncio.gather(*work)
        return pb.RecogniseBatchResponse(results=results)

    async def StreamCaptions(self, requests: AsyncIterator[pb.StreamCaptionsRequest], context: Context) -> None:
        async with self._calls.call(context, "StreamCaptions"):
            await converse(context, self._services)

    async def _wanted(self, named: Vocabulary, sign_sets: Sequence[str]) -> Wanted:
        """Raises UnknownSignSet, SignsOutdated, InvalidRequest, DatabaseUnavailable."""
        services = self._services
        return await found(services.sign_sets, services.host, CALLER.get(), named, sign_sets)

    async def _result(
        self,
        clip: pb.Clip,
        key: Key | None,
        named: Vocabulary,
        read_with: Wanted,
        places: asyncio.Semaphore,
        save: bool,
    ) -> pb.ClipResult:
        """A bad clip does not affect the others."""
        async with places:
            try:
                answer = await recognise(clip, named, read_with, self._services, CALLER.get(), key, save)
                return pb.ClipResult(recognition=answer)
            except ServiceError as problem:
                error = problem
            except Exception:  # noqa: BLE001 - an unexpected error of one clip is that clip's answer
                logger.exception("unexpected error in a clip of a batch")
                error = InternalError()
            number = status_of(error).value[0]
            return pb.ClipResult(problem=pb.Problem(code=error.code, message=error.detail, status=number))
