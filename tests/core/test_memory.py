"""Freed memory leaves the process."""

from __future__ import annotations

import sys

import psutil
import pytest

from app.core import memory
from app.core.memory import FreedMemory, giving_memory_back
from tests.services.captions.test_hub import until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="glibc alone keeps freed memory and can be asked for it"
)
#: Smaller than what glibc takes from the system one by one, so that it stays in an arena.
_BLOCK = 60_000


def resident() -> int:
    return psutil.Process().memory_info().rss


def blocks(size: int) -> list[bytes]:
    return [b"x" * _BLOCK for _ in range(size // _BLOCK)]


def test_what_was_freed_in_bulk_is_given_back_once() -> None:
    held = blocks(256 << 20)
    freed, before = FreedMemory(), resident()
    last = held[-1]  # keeps the top of the heap where it is
    assert not freed.give_back()
    del held
    assert before - resident() < 64 << 20
    assert freed.give_back()
    assert before - resident() > 128 << 20
    assert not freed.give_back()
    assert len(last) == _BLOCK


@pytest.mark.asyncio
async def test_memory_is_given_back_while_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOK_S", 0.01)
    held = blocks(256 << 20)
    with giving_memory_back():
        before = resident()
        last = held[-1]
        del held
        await until(lambda: before - resident() > 128 << 20)
    assert len(last) == _BLOCK


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    with giving_memory_back():
        pass
