"""Who calls: the principal of a gRPC call, from its metadata."""

from __future__ import annotations

import hashlib
import re
from contextvars import ContextVar

from google.protobuf.message import Message

from app.core.errors import InvalidRequest
from app.core.principal import ANONYMOUS, Principal
from app.rpc.calls import Context, caller
from app.services.accounts.access import Credentials, check
from app.services.billing.idempotency import MAX_KEY, Key
from app.services.container import Services

#: As over HTTP: printable, without spaces.
_KEY = re.compile(r"[\x21-\x7e]+")

#: Who made the call that is being answered; set before a method with one request runs.
CALLER: ContextVar[Principal] = ContextVar("caller", default=ANONYMOUS)


async def principal_of(context: Context, services: Services) -> Principal:
    """Metadata `authorization: Bearer TOKEN-OR-KEY` or `x-api-key: KEY`. Raises Unauthenticated, Forbidden,
    TooManyRequests, DatabaseUnavailable."""
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    principal = await services.access.authenticate(Credentials.of_headers(sent), caller(context, services.settings))
    check(principal, "captions")
    return principal


def key_of(context: Context, request: Message) -> Key | None:
    """The Idempotency-Key of a call, from the metadata `idempotency-key`. Raises InvalidRequest."""
    found = [value for name, value in context.invocation_metadata() or () if name == "idempotency-key"]
    if not found:
        return None
    key = found[-1]
    if not isinstance(key, str) or len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise InvalidRequest(f"idempotency-key: a text of 1 to {MAX_KEY} characters, without spaces.")
    name = request.DESCRIPTOR.full_name
    return Key(key, hashlib.sha256(name.encode() + request.SerializeToString(deterministic=True)).digest())
