"""kill -9 of the service in the middle of a live session: what was final before is in the history."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.api.test_credits_after_kill import ACCOUNT, serving
from tests.support.ledger import opened, rows
from tests.support.media import npz
from tests.support.recognisers import performance

pytestmark = pytest.mark.slow
LINES = "SELECT sentence, gloss_text FROM caption_lines l, caption_sessions s WHERE s.id = session_id"


async def test_finals_are_written_as_they_come(database_url: str, tiny_checkpoints: Path, tmp_path: Path) -> None:
    environment = {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(tiny_checkpoints),
        "DEVICE": "cpu",
        "EXTRACTOR_WORKERS": "1",
        "TRAINING": "false",
        "AUTH_MODE": "required",
        "AUTH_SECRET": "a secret of thirty-two characters or more",
        "DATABASE_URL": database_url,
    }
    finals: list[dict[str, Any]] = []
    async with opened(database_url) as database:
        async with (
            serving(tmp_path / "log0", environment) as service,
            httpx.AsyncClient(base_url=service.address, timeout=120) as client,
        ):
            token = (await client.post("/api/auth/register", json=ACCOUNT)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            clip = await client.post(
                "/api/inference/landmarks?save=true", files={"file": ("a.npz", npz(60))}, headers=headers
            )
            url = f"ws://127.0.0.1:{service.port}/api/ws/stream"
            async with websockets.connect(url, additional_headers=headers) as socket:
                await socket.send(json.dumps({"type": "start", "save": True}))
                for second in range(3):
                    points = performance(50)
                    for place in range(0, 50, 5):
                        time_us = (second * 2_000_000 + place * 40_000).to_bytes(8, "little")
                        packed = points[place : place + 5].astype("<f2").tobytes()
                        await socket.send(b"\x01\x03\x00\x00\x00\x00\x00\x00" + time_us + packed)
                    await socket.send(json.dumps({"type": "flush"}))
                    async with asyncio.timeout(60):
                        while (event := json.loads(await socket.recv()))["type"] != "final":
                            pass
                    finals.append(event)
                async with asyncio.timeout(30):  # usually some milliseconds
                    while len(await rows(database, f"{LINES} AND kind = 'live'")) < len(finals):  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.05)
                service.process.kill()
                service.process.wait(60)
        kept = await rows(database, f"{LINES} AND kind = 'live' ORDER BY number")
        assert [sentence for (sentence, _) in kept] == [final["sentence"] for final in finals]
        kept = await rows(database, f"{LINES} AND kind = 'clip' ORDER BY number")
        assert " ".join(glosses for (_, glosses) in kept).split() == clip.json()["gloss"] != []
