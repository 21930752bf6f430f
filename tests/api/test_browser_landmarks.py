"""The files with which browsers find landmarks: what is served, and what is said where they are missing."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import browser_landmarks, pages
from app.api.browser_landmarks import PACKAGE, locked_version, missing
from app.api.middleware import CONTENT_SECURITY_POLICY

VERSION = locked_version()


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    """A folder as npm leaves it, with a few bytes in each file."""
    shutil.copy(browser_landmarks.NPM / "package-lock.json", tmp_path)
    folder = tmp_path / PACKAGE
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"version": VERSION}))
    for name in browser_landmarks._FILES:
        (folder / name).write_bytes(bytes(range(100)))
    return tmp_path


@pytest.fixture
def client(npm: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(browser_landmarks, "NPM", npm)
    monkeypatch.setattr(missing, "__defaults__", (npm,))
    app = FastAPI()
    app.include_router(pages.router)
    app.include_router(browser_landmarks.router)
    return TestClient(app)


def test_the_files_are_served_under_their_version_and_kept_by_browsers(client: TestClient) -> None:
    told = client.get("/landmarks").json()
    assert told == {"version": VERSION, "files": f"/landmarks/{VERSION}/", "missing": None}
    answer = client.get(told["files"] + "holistic_solution_simd_wasm_bin.wasm")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/wasm"
    assert "immutable" in answer.headers["cache-control"]
    part = client.get(told["files"] + "holistic_solution_packed_assets.data", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))


@pytest.mark.parametrize(
    "path",
    [
        f"/landmarks/{VERSION}/package.json",
        f"/landmarks/{VERSION}/..%2Fholistic%2Fpackage.json",
        f"/landmarks/{VERSION}/..%2f..%2f..%2f..%2fpages.py",
        "/landmarks/0.4.1/pose_landmark_full.tflite",
        "/landmarks/../web/npm/package.json",
        "/web/npm",
        "/web/npm%2Fpackage.json",
    ],
)
def test_nothing_else_is(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_what_is_missing_is_said_with_what_to_do(npm: Path, client: TestClient) -> None:
    assert missing(npm) is None
    (npm / PACKAGE / "pose_landmark_full.tflite").unlink()
    assert "pose_landmark_full.tflite" in (missing(npm) or "")
    (npm / PACKAGE / "package.json").write_text('{"version": "0.4.1"}')
    assert f"0.4.1 is installed for the browser, {VERSION} is needed" in (missing(npm) or "")
    (npm / PACKAGE / "package.json").write_text('{"vers')
    assert "`make page`" in (missing(npm) or "")
    shutil.rmtree(npm / "node_modules")
    told = client.get("/landmarks").json()
    assert told["files"] is None
    assert "not installed here. Run `make page`" in told["missing"]
    assert client.get(f"/landmarks/{VERSION}/pose_landmark_full.tflite").status_code == 404


def test_only_the_worker_may_compile_webassembly(client: TestClient) -> None:
    policy = client.get("/web/landmark_worker.js").headers["content-security-policy"]
    assert "'wasm-unsafe-eval'" in policy
    assert "'unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    assert "connect-src 'self'" in policy
    assert "wasm" not in CONTENT_SECURITY_POLICY
    assert "content-security-policy" not in client.get("/web/live.js").headers


def test_the_lock_file_has_hashes_of_a_free_package() -> None:
    lock = json.loads((browser_landmarks.NPM / "package-lock.json").read_text())
    wanted = json.loads((browser_landmarks.NPM / "package.json").read_text())["dependencies"]
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert set(packages) == {f"node_modules/{name}" for name in wanted}
    for entry in packages.values():
        kind, _, hashed = entry["integrity"].partition("-")
        assert (kind, len(base64.b64decode(hashed)), entry["license"]) == ("sha512", 64, "Apache-2.0")
        assert "hasInstallScript" not in entry
    assert wanted["@mediapipe/holistic"] == VERSION
