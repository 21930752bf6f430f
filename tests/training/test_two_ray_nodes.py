"""Training and extraction on one cluster of two nodes, by the commands that people run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.training.corpora.manifest.cache import Cache
from app.training.corpora.manifest.extract import extract_corpus
from app.training.corpora.manifest.manifest import read_manifest
from tests.support.manifest_corpus import picture_folder, table
from tests.support.ray_cluster import ROOT, two_nodes
from tests.support.signs_corpus import four_steps

pytest.importorskip("ray.train", reason="Ray is not installed: requirements-ray.txt", exc_type=ImportError)
pytest.importorskip("ray.data", reason="Ray Data or its pyarrow cannot be imported", exc_type=ImportError)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with two_nodes() as where:
        yield where


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=420,  # twenty seconds on an idle machine; Ray starts fifteen processes
        check=False,
    )


def test_there_are_two(address: str) -> None:
    ask = f"import ray; ray.init({address!r}, log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
    assert run("-c", ask).stdout.split()[-1] == "2"


def test_they_train_together(address: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run("-m", "app", "train", *four_steps(tmp_path), "--ray", address, "--processes", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 4]
    assert "wer" in log[-1]
    from safetensors.torch import load_file

    # A generator state of each process: two took part.
    assert len(load_file(out / "checkpoints/step-00000004/state.safetensors")["random"]) == 2


def test_they_extract_a_corpus(address: str, tmp_path: Path) -> None:
    for number in range(4):
        picture_folder(tmp_path / f"p{number}", frames=4, shade=40 * number)
    (tmp_path / "p2" / "images0001.png").write_bytes(b"no picture")
    corpus = table(tmp_path, *(f"p{number},A,ann,train,25" for number in range(4)))
    done = run("-m", "app", "extract", str(corpus), "--ray", address, "--quiet")
    assert done.returncode == 1
    assert "3 extracted, 0 already done, 0 landmark files, 1 failed" in done.stdout
    assert "p2: undecodable" in done.stderr
    cache = Cache(corpus)
    for entry in read_manifest(corpus).entries:
        clip = cache.load(cache.key(entry))
        assert (clip is None) == (entry.file == "p2")
    report = json.loads((corpus / "extraction_report.json").read_text())
    assert [f["file"] for f in report["failed"]] == ["p2"]
    assert not list(corpus.rglob("*.part*"))
    # The same landmarks as without Ray: the cache has them already.
    assert extract_corpus(corpus, workers=1).cached == 3
