from __future__ import annotations

import grpc
import pytest

from app.core import errors
from app.core.errors import Close
from app.rpc.status import CLOSED, metadata, status_of, stream_status


@pytest.mark.parametrize("kind", errors.all_errors(), ids=lambda kind: kind.code)
def test_every_error_has_a_status_that_fits(kind: type[errors.ServiceError]) -> None:
    status = status_of(kind())
    if kind.status >= 500 and kind is not errors.InternalError:
        retried = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION}
        assert status in retried
    assert (status is grpc.StatusCode.INTERNAL) == (kind is errors.InternalError or kind is errors.MethodNotAllowed)
    assert metadata(kind())[0] == ("glossline-code", kind.code)


def test_every_way_a_live_stream_ends_has_a_status() -> None:
    assert set(CLOSED) == set(Close)
    assert [close for close, status in CLOSED.items() if status is grpc.StatusCode.OK] == [Close.NORMAL]
    for kind in errors.all_errors():
        assert stream_status(kind("Try later.")) not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
