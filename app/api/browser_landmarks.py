"""MediaPipe for browsers: files of an npm package, with which the page finds landmarks on the person's own device."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from app.api.pages import WEB

router = APIRouter(include_in_schema=False)

#: `npm ci` there installs what its lock file names, checked against the hashes in it.
NPM = WEB / "npm"
PACKAGE = "node_modules/@mediapipe/holistic"
#: What of the package the worker loads, with the types that browsers need: WebAssembly is compiled while it arrives.
_FILES = {
    "holistic_solution_packed_assets.data": "application/octet-stream",
    "holistic_solution_simd_wasm_bin.js": "text/javascript",
    "holistic_solution_simd_wasm_bin.wasm": "application/wasm",
    "holistic_solution_wasm_bin.js": "text/javascript",
    "holistic_solution_wasm_bin.wasm": "application/wasm",
    "pose_landmark_full.tflite": "application/octet-stream",
}
#: A file of one version never changes.
_CACHED = {"Cache-Control": "public, max-age=31536000, immutable"}
_INSTALL = "Run `make page` in the folder of the service (it needs Node.js with npm), then reload the page."


def locked_version(npm: Path = NPM) -> str:
    """The version of the package that the lock file names."""
    return str(json.loads((npm / "package-lock.json").read_text())["packages"][PACKAGE]["version"])


def missing(npm: Path = NPM) -> str | None:
    """Why the files cannot be served, and what to do; None: they can."""
    folder = npm / PACKAGE
    try:
        installed = json.loads((folder / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return f"The files for finding landmarks in the browser are not installed here. {_INSTALL}"
    if installed != locked_version(npm):
        return f"MediaPipe {installed} is installed for the browser, {locked_version(npm)} is needed. {_INSTALL}"
    absent = [name for name in _FILES if not (folder / name).is_file()]
    return f"Of the files for the browser, {', '.join(absent)} is missing. {_INSTALL}" if absent else None


@router.get("/landmarks")
async def landmark_files() -> dict[str, str | None]:
    """version: of MediaPipe. files: address of the folder; null: `missing` says why, and what to do."""
    version, why = locked_version(), missing()
    return {"version": version, "files": None if why else f"/landmarks/{version}/", "missing": why}


@router.get("/landmarks/{version}/{name}")
async def landmark_file(version: str, name: str) -> Response:
    if name not in _FILES or version != locked_version() or missing() is not None:
        raise HTTPException(404)
    return FileResponse(NPM / PACKAGE / name, media_type=_FILES[name], headers=_CACHED)
