"""Space on the disks of the service's folders as metrics, read at each scrape."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class DiskCollector(Collector):
    """folders: by the name they have in the metrics. One that is not there yet counts with the disk it would be on."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)

    def collect(self) -> Iterable[Metric]:
        free, total = self.describe()
        for name, folder in self._folders.items():
            try:
                usage = shutil.disk_usage(_existing(folder))
            except OSError:
                continue
            free.add_metric([name], usage.free)
            total.add_metric([name], usage.total)
        return [free, total]

    def describe(self) -> list[GaugeMetricFamily]:
        """Their names, without a look at the disks."""
        return [
            GaugeMetricFamily("glossline_disk_free_bytes", "Free space on the folder's disk.", labels=["folder"]),
            GaugeMetricFamily("glossline_disk_total_bytes", "Size of the folder's disk.", labels=["folder"]),
        ]


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)
