"""Errors of the service as gRPC statuses; the stable code travels in the trailing metadata `glossline-code`."""

from __future__ import annotations

from dataclasses import dataclass

from grpc import StatusCode

from app.core import errors
from app.core.errors import Close, ServiceError

CODE_KEY = "glossline-code"

#: By HTTP status, so that a new error of the service has a sensible one here too...
_BY_HTTP: dict[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    402: StatusCode.FAILED_PRECONDITION,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.INVALID_ARGUMENT,
    415: StatusCode.INVALID_ARGUMENT,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    503: StatusCode.UNAVAILABLE,
    507: StatusCode.RESOURCE_EXHAUSTED,
}
#: ... and those for which gRPC, whose clients retry UNAVAILABLE by themselves, has a more precise one than HTTP.
_BY_CODE: dict[str, StatusCode] = {
    errors.UploadTooLarge.code: StatusCode.RESOURCE_EXHAUSTED,
    errors.Busy.code: StatusCode.RESOURCE_EXHAUSTED,
    errors.OutOfMemory.code: StatusCode.RESOURCE_EXHAUSTED,
    errors.ExtractorUnavailable.code: StatusCode.FAILED_PRECONDITION,
}
#: How a live stream ends.
CLOSED: dict[Close, StatusCode] = {
    Close.NORMAL: StatusCode.OK,
    Close.INVALID: StatusCode.INVALID_ARGUMENT,
    Close.POLICY: StatusCode.ABORTED,
    Close.TOO_BIG: StatusCode.RESOURCE_EXHAUSTED,
    Close.INTERNAL: StatusCode.INTERNAL,
    Close.DRAINING: StatusCode.UNAVAILABLE,
    Close.FULL: StatusCode.RESOURCE_EXHAUSTED,
    Close.BAD_START: StatusCode.INVALID_ARGUMENT,
    Close.IDLE: StatusCode.DEADLINE_EXCEEDED,
    Close.TOO_LONG: StatusCode.DEADLINE_EXCEEDED,
    Close.TOO_FAST: StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a failed call ends."""

    status: StatusCode
    code: str
    """Stable name of the error, for programs."""
    message: str
    """What happened, why, and what to do."""
    retry_after_s: str | None = None
    """Seconds after which to try again."""

    @property
    def number(self) -> int:
        number: int = self.status.value[0]
        return number

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        retry = () if self.retry_after_s is None else (("retry-after", self.retry_after_s),)
        return ((CODE_KEY, self.code), *retry)


def refusal(error: ServiceError) -> Refusal:
    status = _BY_CODE.get(error.code) or _BY_HTTP.get(error.status, StatusCode.INTERNAL)
    return Refusal(status, error.code, error.detail, error.headers.get("Retry-After"))


def stream_end(error: ServiceError) -> Refusal:
    """The end of a live stream for this reason."""
    return Refusal(CLOSED[error.close or Close.INTERNAL], error.code, error.detail)
