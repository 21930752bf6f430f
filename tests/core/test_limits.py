from __future__ import annotations

import pytest

from app.core.errors import Busy
from app.core.limits import ConcurrencyLimit


def test_the_next_one_is_told_busy_and_a_place_comes_back() -> None:
    gate = ConcurrencyLimit(2, "requests", retry_after_s=3)
    with gate.enter(), gate.enter():
        assert gate.full
        with pytest.raises(Busy) as caught, gate.enter():
            pass
        assert caught.value.headers == {"Retry-After": "3"}
        assert gate.in_use == 2
    assert gate.in_use == 0


def test_a_place_comes_back_after_a_fault() -> None:
    gate = ConcurrencyLimit(1, "requests")
    with pytest.raises(ZeroDivisionError), gate.enter():
        _ = 1 / 0
    assert not gate.full
