"""What every error answer must look like."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import httpx

from app.core.errors import all_errors


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is the documented problem, complete and without internals; its body is returned."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == "about:blank"
    kind = next(error for error in all_errors() if error.code == code)
    assert (kind.status, kind.title) == (status, body["title"])
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"].endswith((".", ")", "@clip.mp4")) or code == "invalid_request", body
    assert "Traceback" not in answer.text
    assert "/tmp/" not in answer.text
    assert "site-packages" not in answer.text
    return body


def uploads_left(process: int | None = None) -> list[Path]:
    """Temporary upload files of one process (this one) that lie on the disk right now."""
    return list(Path(tempfile.gettempdir()).glob(f"glossline-{process or os.getpid()}-*.upload"))
