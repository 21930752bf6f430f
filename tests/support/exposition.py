"""What /metrics says, read by Prometheus's own parser."""

from __future__ import annotations

from collections import defaultdict

import httpx
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]


def parse(text: str) -> defaultdict[Series, float]:
    """Value of each time series; 0 for one that is not there."""
    found: defaultdict[Series, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[series(sample.name, **sample.labels)] = sample.value
    return found


def series(name: str, **labels: str) -> Series:
    return name, tuple(sorted(labels.items()))


async def scrape(client: httpx.AsyncClient) -> defaultdict[Series, float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return parse(answer.text)


class Moved:
    """How far each time series moved between two scrapes."""

    def __init__(self, before: defaultdict[Series, float], after: defaultdict[Series, float]) -> None:
        self._before, self._after = before, after

    def __call__(self, name: str, **labels: str) -> float:
        key = series(f"glossline_{name}", **labels)
        return self._after[key] - self._before[key]
