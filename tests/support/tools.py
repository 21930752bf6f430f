"""Programs that check what is shipped for operators, and a browser for the pages. `.ci/run` installs them; elsewhere
their tests skip and say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Debian's package of each program.
PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "caddy": "caddy",
    "chromium": "chromium",
    "docker-compose": "docker-compose",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "redis-server": "redis-server",
}


def tool(name: str) -> str:
    """Path of the program; where it is not installed the test skips, with REQUIRE_TOOLS=1 it fails."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        reason = f"{name} is not installed: apt-get install {PACKAGES[name]}"
        if os.environ.get("REQUIRE_TOOLS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def self_signed(folder: Path, name: str = "DNS:localhost") -> tuple[Path, Path]:
    """A certificate, which is its own authority, and its key. name: whom it is for, as openssl writes it."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    make = [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    said([*make, "-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(certificate)], folder)
    return certificate, key


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The program, whose output goes to `log`, until the block ends. options: of Popen."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def said(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a check prints; fails with it unless the exit code is 0."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
