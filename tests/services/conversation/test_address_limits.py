"""What one address may do: so many connections at once, so many attempts in a while, and others are not touched."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from app.core.errors import Close, ServiceError
from app.services.conversation import address_limits as limits
from app.services.conversation.address_limits import AddressLimits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_address_may_hold_so_many_connections_and_another_is_not_touched() -> None:
    doors = AddressLimits(at_once=2, burst=100)
    with ExitStack() as held:
        held.enter_context(doors.admit("10.0.0.1"))
        held.enter_context(doors.admit("10.0.0.1"))
        with pytest.raises(ServiceError) as refused, doors.admit("10.0.0.1"):
            pass
        assert (refused.value.code, refused.value.close) == ("address_full", Close.FULL)
        held.enter_context(doors.admit("10.0.0.2"))
    with doors.admit("10.0.0.1"):
        pass


def test_attempts_run_out_and_come_back_with_time() -> None:
    clock = Clock()
    doors = AddressLimits(at_once=None, burst=5, now=clock)
    for _ in range(5):
        with doors.admit("::1"):
            pass
    for _ in range(50):  # hammering does not push the end of the wait away
        with pytest.raises(ServiceError) as refused, doors.admit("::1"):
            pass
    assert refused.value.close == Close.TOO_FAST
    clock.now += 2 / limits.ATTEMPTS_PER_S
    with doors.admit("::1"):
        pass


def test_the_table_of_addresses_is_bounded_and_keeps_those_that_are_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ADDRESSES", 10)
    doors = AddressLimits(at_once=1, burst=5)
    with doors.admit("first"):
        for number in range(100):
            with doors.admit(str(number)):
                pass
        assert len(doors) <= 10
        with pytest.raises(ServiceError), doors.admit("first"):
            pass


def test_a_door_without_addresses_has_no_limit_of_this_kind() -> None:
    doors = AddressLimits(at_once=1, burst=1)
    for _ in range(5):
        with doors.admit(None):
            pass
