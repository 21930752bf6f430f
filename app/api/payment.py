"""What a clip over HTTP costs its account: limits of the plan before it arrives, credits around the work, the answer
once for each Idempotency-Key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import Response

from app.api import answers
from app.api.schemas.clips import Prediction
from app.core.principal import Principal
from app.services.billing import limits
from app.services.billing.credits import insufficient
from app.services.billing.idempotency import MAX_KEY, Answer, Key
from app.services.billing.ledger import Account
from app.services.container import Services
from app.services.history.service import checked_owner
from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary


def idempotency_header(description: str) -> Any:
    """The header Idempotency-Key as a parameter."""
    return Header(
        alias="Idempotency-Key", min_length=1, max_length=MAX_KEY, pattern=r"^[\x21-\x7e]+$", description=description
    )


IdempotencyKey = Annotated[
    str | None,
    idempotency_header(
        "Any text that is new for each request: sent again with it, the request is paid once, and gets the same answer "
        "for a day. For accounts alone."
    ),
]
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that has been received."""

    seconds: float | None
    """Its length, as far as it is known before it is read."""
    vocabulary: Vocabulary
    content: bytes | bytearray | Path
    """The body, or the file that was sent."""
    read: Callable[[float], Awaitable[ClipResult]]
    """Reads it; takes the longest clip that is allowed, in seconds."""
    sign_sets: tuple[str, ...] = ()
    """As the client names them."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Of one request; made by `payment`."""

    services: Services
    principal: Principal
    key: str | None
    upload_limit: int | None
    """Bytes that the plan allows; None: only the limits of the service apply."""

    keep: bool
    """Whether the answer goes into the history."""
    languages: tuple[str, ...] = ("en", "es")
    """Those that the plan has."""

    @property
    def free(self) -> bool:
        return not self.services.credits.charges(self.principal)

    async def answer(
        self, request: Request, clip: Clip, asked: answers.Format | None, language: answers.Language = "en"
    ) -> Prediction | Response:
        """Read the clip and render the answer, paid if it is not free. Raises InsufficientCredits, PlanLimit,
        UploadTooLarge, IdempotencyMismatch, IdempotencyInProgress, DatabaseUnavailable, and what reading raises."""
        longest_s = self.services.settings.max_duration_s
        if self.free:
            result = await clip.read(longest_s)
            self._save(result)
            return await answers.answer(request, result, asked, language)
        found: list[ClipResult] = []

        async def work(limit_s: float) -> tuple[float, Response]:
            result = await clip.read(limit_s)
            if "es" not in self.languages:
                result = replace(result, spanish={})
            found.append(result)
            response = await answers.answer(request, result, asked, language)
            if isinstance(response, Prediction):
                response = Response(response.model_dump_json(), media_type="application/json")
            return result.recognition.duration_s, response

        size = clip.content.stat().st_size if isinstance(clip.content, Path) else len(clip.content)
        allowed = limits.reading_with(clip.vocabulary, size, [language] if language != "en" else [])
        named: list[object] = [request.url.path, clip.vocabulary, answers.form(request, asked)]
        named += [list(clip.sign_sets)] if clip.sign_sets else []
        named += [language] if language != "en" else []
        response = await self.charged(clip.seconds, longest_s, named, clip.content, allowed, work)
        for result in found:
            self._save(result)
        return response

    async def charged(
        self,
        seconds: float | None,
        longest_s: float,
        named: Sequence[object],
        content: bytes | bytearray | Path,
        allowed: Callable[[Account], None],
        work: Callable[[float], Awaitable[tuple[float, Response]]],
    ) -> Response:
        """The answer of work, paid if it is not free; of an Idempotency-Key that was sent before, that answer.

        seconds, longest_s: of what is charged, as for `Credits.clip`. named, content: what the request says, for its
        key. allowed: raises what the plan does not allow. work: takes the seconds that can be paid; returns those that
        were used, and the answer. Raises as `answer` does.
        """
        if self.free:
            return (await work(longest_s))[1]
        key = await self.key_of(named, content)
        async with self.services.credits.clip(self.principal, seconds, longest_s, key, allowed) as charge:
            if charge.replayed is not None:
                headers = {"content-type": charge.replayed.media_type, "idempotent-replayed": "true"}
                return Response(charge.replayed.content, headers=headers)
            charge.used_s, response = await work(charge.limit_s)
            charge.answer = Answer(response.headers["content-type"], bytes(response.body))
        return response

    async def key_of(self, named: Sequence[object], content: bytes | bytearray | Path) -> Key | None:
        """The Idempotency-Key with what the request says; None where there is none, or nothing to pay."""
        if self.key is None or self.free:
            return None
        return Key(self.key, await asyncio.to_thread(_digest, json.dumps(list(named)), content))

    def _save(self, result: ClipResult) -> None:
        """Once it is paid."""
        history = self.services.history
        if self.keep and history is not None:
            cost = self.services.credits.price(self.principal, "clip", result.recognition.duration_s)
            history.save_clip(self.principal, result, cost)


async def payment(services: Services, principal: Principal, key: str | None, save: bool = False) -> Payment:
    """Before the body is received. Raises InsufficientCredits for an account that has nothing left; to save the
    answer, Unauthenticated without an account, and DatabaseUnavailable where it cannot be promised."""
    if save:
        checked_owner(services.history, principal)
    account = await services.credits.account(principal)
    if account is None:
        return Payment(services, principal, key, None, save)
    if account.available < 1 and key is None:  # with a key, the answer may be there already
        raise insufficient(1, account.available, "clip")
    return Payment(services, principal, key, int(account.plan.upload_mb * (1 << 20)), save, account.plan.languages)


def _digest(named: str, content: bytes | bytearray | Path) -> bytes:
    """SHA-256 of a request. Reads a file: not for the event loop."""
    digest = hashlib.sha256(named.encode())
    if isinstance(content, Path):
        with content.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    else:
        digest.update(content)
    return digest.digest()
