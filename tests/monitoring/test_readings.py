from __future__ import annotations

from app.monitoring.readings import gpu_readings, memory_readings


def test_readings_come_with_and_without_a_card() -> None:
    assert isinstance(gpu_readings(), list)
    resident, available, total = memory_readings()
    assert 0 < resident < total
    assert 0 < available <= total
