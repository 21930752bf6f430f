from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.training.corpora.manifest.extract import Extraction, ExtractionJob, extract_corpus
from app.training.corpora.manifest.manifest import Entry
from app.training.corpora.manifest.ray_extract import RayUnavailable, _extract_row, on_cluster
from tests.support.manifest_corpus import picture_folder, table

pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)", exc_type=ImportError)
pytest.importorskip("ray.data", reason="Ray Data or its pyarrow cannot be imported", exc_type=ImportError)


def test_a_job_survives_the_journey(tmp_path: Path) -> None:
    job = ExtractionJob(tmp_path, Entry("gone.mp4", ("A", "B"), "ann", "train", 12.5, end_s=2.0), None)
    row = {"number": 3, "job": msgspec.json.encode(job, enc_hook=str)}
    outcome = msgspec.json.decode(_extract_row(row)["outcome"], type=Extraction)
    assert (outcome.state, outcome.reason) == ("failed", "No such file or directory")
    assert isinstance(outcome, Extraction)


@pytest.mark.slow
def test_no_cluster_says_how_to_start_one(tmp_path: Path) -> None:
    picture_folder(tmp_path / "p", frames=1)
    corpus = table(tmp_path, "p,A,ann,train,25")
    with pytest.raises(RayUnavailable, match="ray start --head"):
        extract_corpus(corpus, doing=on_cluster("127.0.0.1:1"))
