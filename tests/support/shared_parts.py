"""What makes an application slow to start, made once for all applications in the process of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.services.accounts import passwords
from app.services.landmarks import process
from app.services.landmarks.process import LandmarkProcess, ProcessTrack


@contextmanager
def one_landmark_process() -> Iterator[None]:
    """Applications find landmarks in one process that they share: each of its own takes a second of a core to start.
    Tests of that process itself, and services in processes of their own, have the real thing."""
    with closing(LandmarkProcess(2)) as shared, pytest.MonkeyPatch.context() as patch:

        class Borrowed(LandmarkProcess):
            @property
            def pid(self) -> int | None:
                return shared.pid

            def _open(self) -> ProcessTrack:
                if self._closed:
                    raise RuntimeError("the landmark engine is closed")
                return shared.open()

        patch.setattr(process, "LandmarkProcess", Borrowed)
        yield


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Hashes of passwords take a thousandth of a second instead of a tenth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "Argon2Hasher", partial(Argon2Hasher, time_cost=1, memory_cost=64, parallelism=1))
        yield
