from __future__ import annotations

from pathlib import Path

import pytest

from app.training.corpora.manifest.extract import Job, Outcome, extract_corpus
from app.training.corpora.manifest.manifest import Entry
from app.training.corpora.manifest.ray_extract import RayUnavailable, _extract_row, _outcome, _row, on_cluster
from tests.support.manifest_corpus import picture_folder, table

pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)", exc_type=ImportError)
pytest.importorskip("ray.data", reason="Ray Data or its pyarrow cannot be imported", exc_type=ImportError)


def test_a_job_survives_the_journey(tmp_path: Path) -> None:
    job = Job(tmp_path, Entry("gone.mp4", ("A", "B"), "ann", "train", 12.5, end_s=2.0), None)
    outcome = _outcome(_extract_row(_row(3, job))["outcome"])
    assert (outcome.state, outcome.reason) == ("failed", "No such file or directory")
    assert isinstance(outcome, Outcome)


@pytest.mark.slow
def test_no_cluster_says_how_to_start_one(tmp_path: Path) -> None:
    picture_folder(tmp_path / "p", frames=1)
    corpus = table(tmp_path, "p,A,ann,train,25")
    with pytest.raises(RayUnavailable, match="ray start --head"):
        extract_corpus(corpus, doing=on_cluster("127.0.0.1:1"))
