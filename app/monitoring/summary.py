"""Reads metrics back as summaries, so that the health routes show the same numbers as /metrics."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram read back."""

    count: int
    """Observations."""
    sum: float
    """Their sum."""
    buckets: tuple[tuple[float, float], ...]
    """(upper bound, observations up to it), bounds increasing."""

    @property
    def mean(self) -> float:
        """0 when nothing was observed."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Estimate as PromQL's histogram_quantile makes it: evenly spread inside a bucket, at most the last finite
        bound. 0 when nothing was observed."""
        if not self.count:
            return 0.0
        rank, low, below = share * self.count, 0.0, 0.0
        for bound, at_most in self.buckets:
            if at_most >= rank and at_most > below:
                return low if bound == float("inf") else low + (bound - low) * (rank - below) / (at_most - below)
            if bound != float("inf"):
                low, below = bound, at_most
        return low


def value(metric: Counter | Gauge) -> float:
    """Of one time series: a metric without labels, or what `labels()` gives."""
    return _samples(metric)[0].value


def by_label(metric: Counter | Gauge) -> dict[str, float]:
    """Values of a metric that has one label."""
    return {next(iter(sample.labels.values())): sample.value for sample in _samples(metric)}


def distribution(metric: Histogram) -> Distribution:
    """Of one time series: a metric without labels, or what `labels()` gives."""
    samples = _samples(metric)
    figures = {sample.name.rpartition("_")[2]: sample.value for sample in samples}
    buckets = tuple((float(sample.labels["le"]), sample.value) for sample in samples if "le" in sample.labels)
    return Distribution(int(figures["count"]), figures["sum"], buckets)


def _samples(metric: Counter | Gauge | Histogram) -> list[Sample]:
    return [s for family in metric.collect() for s in family.samples]
