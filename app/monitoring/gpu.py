"""Memory and load of the NVIDIA cards as metrics, read at each scrape; nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: name of the metric -> what it says, key of a reading, factor to its unit
_GAUGES = {
    "glossline_gpu_memory_used_bytes": ("Memory in use on the card, by all processes.", "memory_used_bytes", 1.0),
    "glossline_gpu_memory_total_bytes": ("Memory of the card.", "memory_total_bytes", 1.0),
    "glossline_gpu_load_ratio": ("Share of the last moments in which the card computed, 0..1.", "load_percent", 0.01),
    "glossline_gpu_temperature_celsius": ("Temperature of the card.", "temperature_c", 1.0),
}


class GpuCollector(Collector):
    """read: gives one mapping per card, as `gpu_readings` does. It may be slow: read the registry in a thread."""

    def __init__(self, read: Callable[[], Sequence[dict[str, Any]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        cards = self._read()
        for name, (meaning, key, factor) in _GAUGES.items():
            family = GaugeMetricFamily(name, meaning, labels=["gpu"])
            for card in cards:
                if key in card:
                    family.add_metric([str(card["index"])], card[key] * factor)
            if family.samples:
                yield family

    def describe(self) -> Iterable[Metric]:
        """Their names, without asking the cards."""
        return [GaugeMetricFamily(name, meaning, labels=["gpu"]) for name, (meaning, _, _) in _GAUGES.items()]
