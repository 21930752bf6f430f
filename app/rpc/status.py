"""Errors of the service as gRPC statuses; the stable code travels in the trailing metadata `glossline-code`."""

from __future__ import annotations

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
    Close.AUTH: StatusCode.UNAUTHENTICATED,
    Close.NO_CREDITS: StatusCode.FAILED_PRECONDITION,
    Close.PLAN_LIMIT: StatusCode.PERMISSION_DENIED,
    Close.IDLE: StatusCode.DEADLINE_EXCEEDED,
    Close.TOO_LONG: StatusCode.DEADLINE_EXCEEDED,
    Close.TOO_FAST: StatusCode.RESOURCE_EXHAUSTED,
}


def status_of(error: ServiceError) -> StatusCode:
    """How a call that failed ends."""
    return _BY_CODE.get(error.code) or _BY_HTTP.get(error.status, StatusCode.INTERNAL)


def stream_status(error: ServiceError) -> StatusCode:
    """How a live stream ends for this reason."""
    if error.close is Close.AUTH:  # unauthenticated and forbidden close alike elsewhere
        return status_of(error)
    return CLOSED[error.close or Close.INTERNAL]


def metadata(error: ServiceError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata of a call that failed: the stable code, and after how many seconds to try again."""
    retry = error.headers.get("Retry-After")
    return ((CODE_KEY, error.code), *(() if retry is None else (("retry-after", retry),)))
