from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, generate_latest

from app.monitoring.disk import DiskCollector
from app.monitoring.gpu import GpuCollector
from app.monitoring.metrics import Metrics
from app.pipeline.stages import STAGES
from tests.support.exposition import parse, series


def test_two_sets_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.live_opened.inc(3)
    name = series("glossline_live_sessions_opened_total")
    assert parse(generate_latest(one.registry).decode())[name] == 3
    assert parse(generate_latest(other.registry).decode())[name] == 0
    assert b"glossline" not in generate_latest(REGISTRY)


def test_stages_tell_their_time_under_their_source() -> None:
    metrics = Metrics()
    for stage in STAGES:
        metrics.stages("live")(stage, 0.25)
    found = parse(generate_latest(metrics.registry).decode())
    for stage in STAGES:
        assert found[series("glossline_stage_seconds_sum", stage=stage, source="live")] == 0.25
        assert found[series("glossline_stage_seconds_count", stage=stage, source="clip")] == 0


def test_names_carry_units_and_labels_are_few() -> None:
    metrics = Metrics()
    for family in metrics.registry.collect():
        if family.type == "histogram" and not re.search("batch|confidence", family.name):
            assert family.name.endswith("_seconds"), family.name
        assert family.documentation


def test_the_process_is_measured() -> None:
    found = parse(generate_latest(Metrics().registry).decode())
    assert found[series("process_resident_memory_bytes")] > 0
    assert found[series("process_cpu_seconds_total")] > 0


def test_cards_tell_what_they_can() -> None:
    cards: list[dict[str, Any]] = [
        {"index": 0, "name": "A", "memory_used_bytes": 5, "memory_total_bytes": 10, "load_percent": 40},
        {"index": 1, "name": "B", "memory_used_bytes": 7, "memory_total_bytes": 10},  # a part of a card: tells no load
    ]
    metrics = Metrics()
    metrics.registry.register(GpuCollector(lambda: cards))
    found = parse(generate_latest(metrics.registry).decode())
    assert found[series("glossline_gpu_memory_used_bytes", gpu="1")] == 7
    assert found[series("glossline_gpu_load_ratio", gpu="0")] == 0.4
    assert series("glossline_gpu_load_ratio", gpu="1") not in found
    assert "temperature" not in generate_latest(metrics.registry).decode()


def test_without_a_card_nothing_is_said_and_none_is_asked_before_a_scrape() -> None:
    asked = []
    metrics = Metrics()
    metrics.registry.register(GpuCollector(lambda: asked.append(1) or []))
    assert not asked
    assert b"gpu" not in generate_latest(metrics.registry)
    assert asked == [1]


def test_the_disks_of_the_folders_are_measured(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.registry.register(DiskCollector({"data": tmp_path, "runs": tmp_path / "not/there/yet"}))
    found = parse(generate_latest(metrics.registry).decode())
    for folder in ("data", "runs"):
        free = found[series("glossline_disk_free_bytes", folder=folder)]
        assert 0 < free < found[series("glossline_disk_total_bytes", folder=folder)]


def test_signs_and_the_share_of_unsure_ones() -> None:
    metrics = Metrics()
    metrics.count_signs("live", [(0.97, False), (0.42, True), (0.31, True)])
    found = parse(generate_latest(metrics.registry).decode())
    assert found[series("glossline_signs_unsure_total", source="live")] == 2
    assert found[series("glossline_sign_confidence_count", source="live")] == 3
    assert found[series("glossline_sign_confidence_bucket", source="live", le="0.5")] == 2
    assert found[series("glossline_sign_confidence_count", source="clip")] == 0
