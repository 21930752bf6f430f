"""What tests of teaching share: recordings of signs, as landmarks, sent over HTTP."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np

from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, Keypoints
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from tests.support.recognisers import performance

SETS = "/api/signs/sets"


def clip(seed: int, take: int = 0) -> Keypoints:
    """A sign, from rest to rest; takes differ by noise."""
    points = performance(40, seed)
    points[..., :2] += np.random.default_rng(take).normal(0, 0.003, points[..., :2].shape)
    for where in (LEFT_HAND, RIGHT_HAND):
        points[[0, 1, -2, -1], where] = 0
    return Keypoints.at_rate(points, 25)


def npz(of: Keypoints) -> bytes:
    out = io.BytesIO()
    save_npz(out, of)  # type: ignore[arg-type]
    return out.getvalue()


async def made(client: httpx.AsyncClient, name: str = "Family", **given: Any) -> str:
    answer = await client.post(SETS, json={"name": name, "sign_language": "bfi", **given})
    assert answer.status_code == 201, answer.text
    set_id: str = answer.json()["id"]
    return set_id


async def sign_in(client: httpx.AsyncClient, set_id: str, name: str) -> str:
    answer = await client.post(f"{SETS}/{set_id}/signs", json={"name": name})
    assert answer.status_code == 201, answer.text
    sign_id: str = answer.json()["id"]
    return sign_id


async def record(client: httpx.AsyncClient, set_id: str, sign_id: str, of: Keypoints, **params: Any) -> httpx.Response:
    where = f"{SETS}/{set_id}/signs/{sign_id}/recordings"
    return await client.post(where, files={"file": ("clip.npz", npz(of))}, params=params)


async def taught(client: httpx.AsyncClient, name: str = "Family", given: Any = None, **signs: int) -> str:
    """A set of signs, each with two recordings; the number is what they look like. given: more of the set."""
    set_id = await made(client, name, **(given or {}))
    for gloss, seed in signs.items():
        sign_id = await sign_in(client, set_id, gloss)
        for take in (0, 1):
            answer = await record(client, set_id, sign_id, clip(seed, take))
            assert answer.status_code == 201, answer.text
    return set_id
