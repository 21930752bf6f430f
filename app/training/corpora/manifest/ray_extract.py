"""Landmark extraction over the machines of a Ray cluster: the function of `extract`, mapped by Ray Data.

`python -m app extract FOLDER --ray ADDRESS`. Every machine must see the corpus under the same path (a shared file
system) and have this project installed at the same place.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import app
from app.training.corpora.manifest.extract import Doing, Extraction, ExtractionJob, extract_clip
from app.training.corpora.manifest.workers import WorkerDied

#: Pieces that the clips are cut into at most; Ray keeps books for each.
_PIECES = 2000


class RayUnavailable(RuntimeError):
    """Ray is not installed or the cluster does not answer; the message says what to do."""


def on_cluster(address: str) -> Doing:
    """What `extract_corpus` calls to work through its jobs on the cluster at `address` ("auto": one on this machine).

    One clip takes one CPU. A clip whose worker died more often than Ray tries again is a failure. Raises
    RayUnavailable.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise RayUnavailable(
            f"Ray is not installed ({error}); install it with: pip install -r requirements-ray.txt"
        ) from error

    def doing(jobs: list[ExtractionJob]) -> Iterator[tuple[ExtractionJob, Extraction | WorkerDied]]:
        connected_here = not ray.is_initialized()
        if connected_here:
            _connect(ray, address)
        try:
            context = ray.data.DataContext.get_current().copy()
            context.max_errored_blocks = -1  # a lost clip must not end the others
            context.enable_progress_bars = False
            with ray.data.DataContext.current(context):
                rows = ray.data.from_items(
                    [
                        {"number": number, "job": msgspec.json.encode(job, enc_hook=str)}
                        for number, job in enumerate(jobs)
                    ],
                    override_num_blocks=min(len(jobs), _PIECES),
                ).map(_extract_row, num_cpus=1)
                waiting = dict(enumerate(jobs))
                for row in rows.iter_rows():
                    yield waiting.pop(int(row["number"])), msgspec.json.decode(row["outcome"], type=Extraction)
                for job in waiting.values():
                    yield job, WorkerDied(None)
        finally:
            if connected_here:
                ray.shutdown()

    return doing


def _connect(ray: Any, address: str) -> None:
    path = [str(Path(app.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():
            # Ray itself tries for minutes before it gives up.
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=5).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": environment})
    except (OSError, ValueError, RuntimeError) as error:
        raise RayUnavailable(
            f"no Ray cluster at '{address}' ({error}); start one with `ray start --head`, then "
            "`ray start --address=HOST:6379` on the other machines"
        ) from error


def _extract_row(row: dict[str, Any]) -> dict[str, Any]:
    """Job and outcome travel as JSON: Ray Data sends plain values."""
    job = msgspec.json.decode(row["job"], type=ExtractionJob, dec_hook=lambda kind, text: kind(text))
    return {"number": row["number"], "outcome": msgspec.json.encode(extract_clip(job))}
