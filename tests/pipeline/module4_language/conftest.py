"""The libraries load before the first test."""

from __future__ import annotations

import pytest

from app.pipeline.module4_language import warm_up


@pytest.fixture(scope="session", autouse=True)
def _loaded_dictionaries() -> None:
    warm_up()
