from __future__ import annotations

from http import HTTPStatus

import pytest

from app.core.errors import ServiceError, all_errors


def test_every_code_is_used_once() -> None:
    codes = [error.code for error in all_errors()]
    assert len(codes) == len(set(codes))
    titles = [error.title for error in all_errors()]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_error_is_documented_and_can_be_raised_bare(error: type[ServiceError]) -> None:
    raised = error()
    assert HTTPStatus(error.status) >= 400
    assert raised.detail == error.example
    assert len(error.example) > 20


def test_busy_and_not_ready_say_when_to_come_back() -> None:
    from app.core.errors import Busy, NotReady

    assert Busy(headers={"Retry-After": "7"}).headers == {"Retry-After": "7"}
    assert int(NotReady().headers["Retry-After"]) > 0
