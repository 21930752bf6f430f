"""The libraries load before the first test; properties are not timed, the machine may be busy."""

from __future__ import annotations

import pytest
from hypothesis import settings

from app.pipeline.module4_language import warm_up

UNTIMED = settings(deadline=None)


@pytest.fixture(scope="session", autouse=True)
def _loaded_dictionaries() -> None:
    warm_up()
