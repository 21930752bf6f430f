from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from app.monitoring.summary import by_label, distribution, value


def histogram(*observed: float) -> Histogram:
    made = Histogram("seconds", "Seconds.", buckets=(1, 2, 4), registry=CollectorRegistry())
    for seconds in observed:
        made.observe(seconds)
    return made


def test_nothing_observed() -> None:
    found = distribution(histogram())
    assert (found.count, found.mean, found.quantile(0.5), found.quantile(0.95)) == (0, 0.0, 0.0, 0.0)


def test_quantiles_are_spread_inside_their_bucket() -> None:
    found = distribution(histogram(1.5, 1.6, 1.7, 3.0))
    assert found.count == 4
    assert found.mean == pytest.approx(1.95)
    assert found.quantile(0.5) == pytest.approx(1 + 2 / 3)  # the second of three between 1 and 2
    assert found.quantile(0.75) == pytest.approx(2.0)
    assert found.quantile(1.0) == pytest.approx(4.0)


def test_what_is_beyond_the_last_bound_counts_as_that() -> None:
    assert distribution(histogram(100.0, 200.0)).quantile(0.95) == 4.0


def test_counters_are_read_back_by_label() -> None:
    refused = Counter("refused", "Refused.", ["reason"], registry=CollectorRegistry())
    assert by_label(refused) == {}
    refused.labels("full").inc(2)
    refused.labels("draining").inc()
    assert by_label(refused) == {"full": 2.0, "draining": 1.0}
    assert value(refused.labels("full")) == 2.0
