"""Prometheus, Alertmanager and the dashboard: their files are read by their own tools, and name metrics that exist."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from app.monitoring.disk import DiskCollector
from app.monitoring.gpu import GpuCollector
from app.monitoring.metrics import Metrics
from tests.support.processes import ROOT, free_port
from tests.support.serving import served
from tests.support.tools import running, said, tool

FOLDER = ROOT / "deploy/observability"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/glossline.json").read_text(encoding="utf-8"))
#: Of the credits, which are counted where they are kept.
ELSEWHERE = {"glossline_credits_wrong_accounts"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Every expression of the dashboard and of the alerts."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def known() -> set[str]:
    """The time series of the service."""
    metrics = Metrics()
    metrics.registry.register(DiskCollector({"data": ROOT}))
    names = set(ELSEWHERE)
    for family in metrics.registry.collect():
        kinds = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + ending for ending in kinds.get(family.type, [""])}
    if any(name.startswith("glossline_credits") for name in names):  # where credits are kept, the alert is about them
        names -= ELSEWHERE - {family.name for family in metrics.registry.collect()}
    return names | {family.name for family in GpuCollector(list).describe()}


def test_the_alerts_are_rules_and_fire_when_they_should() -> None:
    promtool = tool("promtool")
    said([promtool, "check", "config", "--syntax-only", "prometheus.yml"], FOLDER)
    said([promtool, "check", "rules", "alerts.yml"], FOLDER)
    said([promtool, "test", "rules", "alerts_test.yml"], FOLDER)


def test_somebody_is_woken() -> None:
    amtool = tool("amtool")
    said([amtool, "check-config", "alertmanager.yml"], FOLDER)
    route = [amtool, "config", "routes", "test", "--config.file=alertmanager.yml", "severity=critical"]
    assert "operator" in said(route, FOLDER)


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:number:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    said([tool("promtool"), "check", "rules", "panels.yml"], tmp_path)


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {name for query in queries() for name in re.findall(r"\b(?:glossline|process)_\w+", query)}
    assert asked - known() == set()


def test_the_dashboard_is_whole() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert {source["uid"] for source in sources} == {panel["datasource"]["uid"] for panel in panels()}


@pytest.mark.slow
async def test_a_real_prometheus_scrapes_the_service(tiny_settings: Settings, tmp_path: Path) -> None:
    """With the shipped files; only the target is another one."""
    program, port = tool("prometheus"), free_port()
    app: FastAPI = create_app(tiny_settings)
    async with app.router.lifespan_context(app), served(app) as address:
        text = (FOLDER / "prometheus.yml").read_text().replace("glossline:8000", address).replace("15s", "1s")
        (tmp_path / "prometheus.yml").write_text(text)
        (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
        options = [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        command, log = [program, f"--config.file={tmp_path / 'prometheus.yml'}", *options], tmp_path / "log"
        with running(command, log) as process:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as client:

                async def value(query: str) -> float | None:
                    try:
                        answer = await client.get("/query", params={"query": query})
                    except httpx.TransportError:  # it starts
                        return None
                    found = answer.json()["data"]["result"] if answer.status_code == 200 else []
                    return float(found[0]["value"][1]) if found else None

                deadline = time.monotonic() + 120
                while await value('up{job="glossline"}') != 1:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                assert await value("glossline_model_info") == 1
                assert await value("glossline_build_info") == 1
                assert await value("glossline_disk_free_bytes / glossline_disk_total_bytes") is not None
                while True:
                    groups = (await client.get("/rules")).json()["data"]["groups"]
                    health = {rule["health"] for group in groups for rule in group["rules"]}
                    if "unknown" not in health:
                        break
                    assert time.monotonic() < deadline
                assert health == {"ok"}
