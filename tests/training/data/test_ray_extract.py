from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.cli import main
from app.training.data.cache import Cache
from app.training.data.extract import Job, Outcome, extract_corpus
from app.training.data.manifest import Entry, read_manifest
from app.training.data.ray_extract import RayUnavailable, _extract_row, _outcome, _row, on_cluster
from tests.training.data.made_up import picture_folder, table

pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)", exc_type=ImportError)
pytest.importorskip("ray.data", reason="Ray Data or its pyarrow cannot be imported", exc_type=ImportError)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two nodes of one CPU each on this machine: their address. Afterwards none of their processes is left."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's sockets lie there, and a socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        node = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=node, shutdown_at_exit=True)
        try:
            nodes.add_node(**node)
            yield nodes.address
        finally:
            ray.shutdown()
            nodes.shutdown()
        deadline = time.monotonic() + 20
        while (left := processes_in(folder)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not left


def processes_in(folder: str) -> list[str]:
    """Command lines that name the folder."""
    lines = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if folder in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            lines.append(line)
    return lines


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(4):
        picture_folder(tmp_path / f"p{number}", frames=4, shade=40 * number)
    (tmp_path / "p2" / "images0001.png").write_bytes(b"no picture")
    return table(tmp_path, *(f"p{number},A,ann,train,25" for number in range(4)))


@pytest.mark.slow
def test_a_corpus_is_extracted_on_two_nodes(corpus: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    import ray

    ray.init(address=cluster, log_to_driver=False, logging_level="ERROR")
    alive = [node for node in ray.nodes() if node["Alive"]]
    ray.shutdown()
    assert len(alive) == 2
    assert main(["extract", str(corpus), "--ray", cluster, "--quiet"]) == 1
    said = capsys.readouterr()
    assert "3 extracted, 0 were there, 0 are landmarks already, 1 failed" in said.out
    assert "p2: undecodable" in said.err
    cache = Cache(corpus)
    for entry in read_manifest(corpus).entries:
        clip = cache.load(cache.key(entry))
        assert (clip is None) == (entry.file == "p2")
    report = json.loads((corpus / "extraction_report.json").read_text())
    assert [f["file"] for f in report["failed"]] == ["p2"]
    assert not list(corpus.rglob("*.part*"))
    # The same landmarks as without Ray: the cache has them already.
    assert extract_corpus(corpus, workers=1).cached == 3
    assert not ray.is_initialized()


def test_a_job_survives_the_journey(corpus: Path) -> None:
    job = Job(corpus, Entry("gone.mp4", ("A", "B"), "ann", "train", 12.5, end_s=2.0), None)
    outcome = _outcome(_extract_row(_row(3, job))["outcome"])
    assert (outcome.state, outcome.reason) == ("failed", "No such file or directory")
    assert isinstance(outcome, Outcome)


@pytest.mark.slow
def test_no_cluster_says_how_to_start_one(corpus: Path) -> None:
    with pytest.raises(RayUnavailable, match="ray start --head"):
        extract_corpus(corpus, doing=on_cluster("127.0.0.1:1"))
