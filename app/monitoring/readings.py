"""Readings of the machine: memory of the process, and of NVIDIA GPUs."""

from __future__ import annotations

import functools
from typing import Any

from loguru import logger


@functools.cache
def _nvml() -> Any | None:
    """The started NVML library, or None where there is no NVIDIA driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except (ImportError, OSError) as problem:
        logger.debug("no NVML: {}", problem)
        return None
    except pynvml.NVMLError as problem:
        logger.debug("no NVML: {}", problem)
        return None
    return pynvml


def gpu_readings() -> list[dict[str, Any]]:
    """Name, memory (bytes), load (percent) and temperature (degrees Celsius) of each NVIDIA card; [] without one."""
    nvml = _nvml()
    if nvml is None:
        return []
    readings = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        reading: dict[str, Any] = {"index": index, "name": nvml.nvmlDeviceGetName(handle)}
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            reading |= {"memory_used_bytes": int(memory.used), "memory_total_bytes": int(memory.total)}
            reading["load_percent"] = int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            reading["temperature_c"] = int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        except nvml.NVMLError as problem:
            # Partitioned or virtual GPUs refuse some of these; the others are still returned.
            logger.debug("GPU {} does not answer everything: {}", index, problem)
        readings.append(reading)
    return readings


def memory_readings() -> tuple[int, int, int]:
    """Bytes: resident memory of this process with its children, available and total memory of the machine."""
    import psutil

    process = psutil.Process()
    resident = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            resident += child.memory_info().rss
        except psutil.Error:
            continue  # it ended in the meantime
    machine = psutil.virtual_memory()
    return resident, machine.available, machine.total
