"""Memory and load of the NVIDIA GPUs as metrics, read at each scrape; empty without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: name of the metric -> its help text, key of a reading, factor to its unit
_GAUGES = {
    "glossline_gpu_memory_used_bytes": ("GPU memory in use, by all processes.", "memory_used_bytes", 1.0),
    "glossline_gpu_memory_total_bytes": ("Total memory of the GPU.", "memory_total_bytes", 1.0),
    "glossline_gpu_load_ratio": ("Recent utilisation of the GPU, 0..1.", "load_percent", 0.01),
    "glossline_gpu_temperature_celsius": ("Temperature of the GPU in degrees Celsius.", "temperature_c", 1.0),
}


class GpuCollector(Collector):
    """read: gives one mapping per GPU, as `gpu_readings` does. It may be slow: read the registry in a thread."""

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
        """Their names, without querying the GPUs."""
        return [GaugeMetricFamily(name, meaning, labels=["gpu"]) for name, (meaning, _, _) in _GAUGES.items()]
