"""Memory that the process has freed goes back to the system.

glibc keeps what is freed for the next request: a landmark graph that ends leaves nearly all of its 190 MB in the
process, in arenas that other threads then do not use. Trimming them takes some tenths of a second in a thread of its
own, so it is done when much has been freed, not with every graph. What is in use between freed pieces keeps their
pages; with few arenas the next graph fills those gaps, with one for every thread each arena keeps gaps of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

#: Seconds between two looks, and bytes freed since the last trim that are worth one.
LOOK_S = 5.0
WORTH_BYTES = 64 << 20
#: Arenas of the process; glibc's own limit is eight for each core. Finding landmarks takes as long with two.
ARENAS = 2
_M_ARENA_MAX = -8  # of malloc.h


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


class FreedMemory:
    """What the allocator holds free; it makes few arenas from now on. Raises AttributeError where the C library is not
    glibc 2.33 or later."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)  # its calls release the interpreter's lock
        self._info, self._trim = libc.mallinfo2, libc.malloc_trim
        self._info.restype = _Mallinfo2
        self._trim.argtypes = [ctypes.c_size_t]
        if "MALLOC_ARENA_MAX" not in os.environ:
            libc.mallopt(_M_ARENA_MAX, ARENAS)  # of those made from now on
        self._least = self._free()

    def _free(self) -> int:
        """Bytes in all arenas that nobody uses, those that the system has got back included."""
        return int(self._info().fordblks)

    def give_back(self) -> bool:
        """Trim the arenas if WORTH_BYTES were freed since the last time; whether that was done. May be called from any
        thread, one at a time."""
        free = self._free()
        self._least = min(self._least, free)  # what was used again since is resident again
        if free - self._least < WORTH_BYTES:
            return False
        self._trim(0)
        self._least = self._free()
        return True


@contextlib.contextmanager
def giving_memory_back() -> Iterator[None]:
    """While the block lasts, freed memory is given back every few seconds, in a thread of its own; elsewhere than on
    glibc, nothing is done."""
    try:
        freed = FreedMemory()
    except AttributeError:
        yield
        return
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(LOOK_S):
            freed.give_back()

    threading.Thread(target=run, name="freed-memory", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
