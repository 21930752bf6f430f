"""How signs are made, over HTTP: the list, performances, and what there is no performance of."""

from __future__ import annotations

import httpx
import pytest

from app.api.signs import MOST
from app.signer.prototypes import load
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_list_says_what_each_sign_was_made_from(client: httpx.AsyncClient) -> None:
    signs = {sign["gloss"]: sign for sign in (await client.get("/api/signs")).json()["signs"]}
    assert set(signs) == set(load())
    assert {"MOTHER", "SCHOOL", "WANT"} <= set(signs)
    assert signs["SCHOOL"]["corpus"] == "wlasl"
    assert signs["SCHOOL"]["how"] == "average"
    assert signs["SCHOOL"]["signers"] >= 2


async def test_a_performance_is_what_the_landmark_route_reads(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/signs/MOTHER")
    assert answer.status_code == 200
    assert answer.headers["cache-control"].startswith("private")
    content = answer.json()
    frames = len(load()["MOTHER"])
    for name, points, numbers in (("pose", 33, 3), ("left", 21, 2), ("right", 21, 2)):
        assert len(content[name]) == frames
        assert {len(frame) for frame in content[name]} == {points}
        assert {len(point) for frame in content[name] for point in frame} == {numbers}
    assert not any(any(point) for frame in content["left"] for point in frame)
    assert content["right"][frames // 2][0] != [0, 0]
    body = {name: content[name] for name in ("fps", "width", "height", "pose", "left", "right")}
    read = await client.post("/api/inference/landmarks", json=body)
    assert read.status_code == 200
    assert read.json()["frame_count"] == frames


async def test_several_glosses_are_a_phrase(client: httpx.AsyncClient) -> None:
    content = (await client.get("/api/signs/mother, want,WATER")).json()
    assert [sign["gloss"] for sign in content["signs"]] == ["MOTHER", "WANT", "WATER"]
    assert len(content["pose"]) == len(load().phrase(["MOTHER", "WANT", "WATER"]))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("MOTER", "MOTER (nearest: MOTHER"),
        ("HELLO,XQZW,XQZW", "no performance of XQZW."),
        (",", "No gloss is named"),
        (",".join(["NO"] * (MOST + 1)), f"at most {MOST}"),
    ],
)
async def test_what_cannot_be_shown_is_named(client: httpx.AsyncClient, wanted: str, said: str) -> None:
    answer = await client.get(f"/api/signs/{wanted}")
    assert said in assert_problem(answer, 404, "unknown_sign")["detail"]


async def test_a_text_without_end_is_refused(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get(f"/api/signs/{'A' * 500}"), 422, "invalid_request")
