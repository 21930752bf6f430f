"""The README's first command, answered by the recogniser that comes with the project; and real clips."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.core.settings import Settings
from app.main import create_app
from app.signer import SAMPLES

pytestmark = [pytest.mark.golden, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shipped() -> AsyncIterator[httpx.AsyncClient]:
    """The service with its own recogniser, whatever the environment of the tests says."""
    app = create_app(
        Settings(_env_file=None, checkpoint="asl-everyday", device="cpu", extractor_workers=1, training=False)
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=120) as client:
            yield client


async def predict(client: httpx.AsyncClient, clip: Path) -> dict[str, object]:
    content = await asyncio.to_thread(clip.read_bytes)
    answer = await client.post("/api/inference/predict", files={"file": (clip.name, content, "video/mp4")})
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


async def test_the_first_command_of_the_readme(shipped: httpx.AsyncClient) -> None:
    answer = await predict(shipped, SAMPLES / "hello.mp4")
    assert answer["gloss"] == ["HELLO"]
    assert answer["sentence"] == "Hello."
    assert answer["model"] == "asl-everyday"
    assert answer["warnings"] == []


@pytest.mark.real_data
async def test_real_clips_are_read(shipped: httpx.AsyncClient, shared_folder: Path) -> None:
    vocabulary = {label["gloss"] for label in (await shipped.get("/api/labels")).json()["labels"]}
    with (shared_folder / "samples/samples.csv").open(newline="", encoding="utf-8") as f:
        clips = [(row["file"], row["gloss"]) for row in csv.DictReader(f) if row["gloss"] in vocabulary]
    answers = {
        file: (gloss, (await predict(shipped, shared_folder / "samples" / file))["gloss"]) for file, gloss in clips
    }
    wrong = {file: pair for file, pair in answers.items() if pair[1] != [pair[0]]}
    assert len(clips) == 23
    assert len(wrong) <= 5, wrong  # what was measured at release; the goal of 19 right is missed by one, see RESULTS.md
