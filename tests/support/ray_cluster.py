"""A Ray cluster of two nodes with one CPU each, on this machine.

Run as a program it starts one, says its address and ends it when its input ends. In a process of its own, because Ray
forks while its threads run, and a process of tests has threads of gRPC already: then a node sometimes never came up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
#: Ray gives a node half a minute to come up, which a busy machine may need twice.
_ATTEMPTS = 3


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address. Afterwards none of the cluster's processes is left."""
    # Ray's sockets lie there, and a socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        more = {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", "GRPC_ENABLE_FORK_SUPPORT": "0"}
        for attempt in range(_ATTEMPTS):
            with (Path(folder) / f"log-{attempt}").open("w+") as log:
                cluster = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.ray_cluster"],
                    cwd=ROOT,
                    env={**os.environ, **more},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
                try:
                    assert cluster.stdout is not None
                    address = cluster.stdout.readline().strip()
                    if address:
                        yield address
                finally:
                    cluster.communicate()
                    left = _left(folder)
                if address:
                    assert left == []
                    return
                log.seek(0)
                said = log.read()
        raise AssertionError(f"no Ray cluster came up in {_ATTEMPTS} attempts: {said}")


def _left(folder: str) -> list[psutil.Process]:
    """Processes that name the folder in their command line and did not end by themselves; they are killed."""
    deadline = time.monotonic() + 20
    while (left := _processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return left


def _processes(folder: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if folder in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def main() -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node, shutdown_at_exit=True)
    try:
        cluster.add_node(**node)
        print(cluster.address, flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
