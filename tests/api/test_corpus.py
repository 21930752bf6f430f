"""Recordings that people give for training: a corpus that training reads, until they take them back."""

from __future__ import annotations

import csv
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.settings import Settings
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
from app.services.signs import corpus as corpora
from app.services.signs.consent import TEXT, VERSION
from app.training.corpora.manifest.manifest import Entry, entry_of, read_manifest
from app.training.corpora.manifest.report import folder_report
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, client_of, guarded, key_of, person, running
from tests.support.problems import assert_problem
from tests.support.teaching import SETS, clip, made, record, sign_in, taught

pytestmark = pytest.mark.asyncio(loop_scope="module")
AGREED = {"version": VERSION}
KEPT = {"keep_landmarks": True}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str, datasets: Path) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, datasets_dir=datasets)) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def ann(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody new."""
    async with client_of(app, **(await person(app)).headers) as client:
        yield client


def entries(datasets: Path) -> list[Entry]:
    folder = datasets / "own-bfi"
    table: list[Entry] = []
    if folder.exists():
        with (folder / "clips.csv").open(newline="", encoding="utf-8") as f:
            table = [entry_of(row) for row in csv.DictReader(f)]
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.npz"))
    assert files == sorted(entry.file for entry in table)
    return table


async def test_a_set_becomes_a_corpus_and_leaves_it_again(
    ann: httpx.AsyncClient, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "_SPLITS", ("train",))  # whoever is first here
    shown = (await ann.get("/api/signs/corpus")).json()
    assert shown == {"version": VERSION, "text": TEXT, "consents": []}
    set_id = await taught(ann, given=KEPT, GRANDMA=21, Garten=22)
    assert entries(datasets) == []
    given = await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)
    assert given.status_code == 200, given.text
    one = given.json()
    assert (one["recordings"], one["without_landmarks"], one["text_version"]) == (4, 0, VERSION)
    table = entries(datasets)
    assert sorted(entry.glosses for entry in table) == [("GARTEN",)] * 2 + [("GRANDMA",)] * 2
    assert {(entry.signer, entry.split) for entry in table} == {(one["signer"], "train")}
    stored = load_landmarks(datasets / "own-bfi" / table[0].file)
    assert len(stored) == 40
    report = folder_report(datasets / "own-bfi")
    assert (report["clips"]["train"], report["sign_language"], report["left_out"]) == (4, "bfi", [])

    # What changes in the set changes in the corpus.
    grandma = next(s for s in (await ann.get(f"{SETS}/{set_id}")).json()["signs"] if s["gloss"] == "GRANDMA")
    where = f"{SETS}/{set_id}/signs/{grandma['id']}"
    assert (await record(ann, set_id, grandma["id"], clip(21, 5))).status_code == 201
    assert (await ann.patch(where, json={"name": "Oma"})).status_code == 200
    assert [entry.glosses for entry in entries(datasets)].count(("OMA",)) == 3
    assert (await ann.delete(f"{where}/recordings/{grandma['recordings'][0]['id']}")).status_code == 204
    assert len(entries(datasets)) == 4
    assert (await ann.delete(where)).status_code == 204
    assert [entry.glosses for entry in entries(datasets)] == [("GARTEN",)] * 2

    assert (await ann.delete(f"{SETS}/{set_id}/consent")).status_code == 204
    assert not (datasets / "own-bfi").exists()
    assert len((await ann.get(f"{SETS}/{set_id}")).json()["signs"]) == 1  # the set stays
    [back] = (await ann.get("/api/signs/corpus")).json()["consents"]
    assert back["revoked_at"] is not None
    assert back["recordings"] == 0
    again = (await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)).json()
    assert again["signer"] == one["signer"]  # and so the same split
    assert (await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)).json()["given_at"] == again["given_at"]
    assert len((await ann.get("/api/signs/corpus")).json()["consents"]) == 2
    assert (await ann.patch(f"{SETS}/{set_id}", json={"keep_landmarks": False})).status_code == 200
    assert not (datasets / "own-bfi").exists()
    assert (await ann.delete(f"{SETS}/{set_id}")).status_code == 204
    assert {one["set_id"] for one in (await ann.get("/api/signs/corpus")).json()["consents"]} == {None}


async def test_landmarks_are_kept_from_the_consent_on(ann: httpx.AsyncClient, datasets: Path) -> None:
    set_id = await taught(ann, GRANDMA=21)
    given = (await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)).json()
    assert (given["recordings"], given["without_landmarks"]) == (0, 2)
    sign_id = await sign_in(ann, set_id, "GARDEN")
    assert (await record(ann, set_id, sign_id, clip(22))).json()["recording"]["landmarks"] is True
    assert [entry.glosses for entry in entries(datasets)] == [("GARDEN",)]
    assert (await ann.delete(f"{SETS}/{set_id}")).status_code == 204
    assert entries(datasets) == []


async def test_people_are_apart_and_each_is_in_one_split(
    app: FastAPI, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "_SPLITS", ("train", "dev"))
    names, everybody = set(), [await person(app) for _ in range(3)]
    for one in everybody:
        async with client_of(app, **one.headers) as client:
            for gloss in ("GRANDMA", "GARDEN"):
                set_id = await taught(client, gloss, given=KEPT, **{gloss: 21})
                answer = await client.post(f"{SETS}/{set_id}/consent", json=AGREED)
                names.add(answer.json()["signer"])
    table = entries(datasets)
    assert len(names) == 3
    assert len(table) == 12
    assert len({(entry.signer, entry.split) for entry in table}) == 3
    assert {entry.split for entry in table} == {"train", "dev"}
    assert read_manifest(datasets / "own-bfi").warnings == ()
    text = (datasets / "own-bfi" / "clips.csv").read_text()
    for one in everybody:
        assert one.id not in text
        assert one.email.partition("@")[0] not in text
    # The end of an account ends it too.
    for one in everybody:
        async with client_of(app, **one.headers) as client:
            exported = (await client.get("/api/account/export")).json()["training_consents"]
            assert [consent["revoked_at"] for consent in exported] == [None, None]
            gone = await client.request("DELETE", "/api/account", json={"password": PASSWORD})
            assert gone.status_code == 204, gone.text
    assert entries(datasets) == []


async def test_who_may_give_what(app: FastAPI, ann: httpx.AsyncClient, datasets: Path) -> None:
    set_id = await taught(ann, given=KEPT, GRANDMA=21)
    where = f"{SETS}/{set_id}/consent"
    bob = await person(app)
    async with client_of(app, **bob.headers) as bobs:
        assert_problem(await bobs.post(where, json=AGREED), 404, "unknown_sign_set")
        assert_problem(await bobs.delete(where), 404, "unknown_sign_set")
        his = await made(bobs)
        assert (await bobs.delete(f"{SETS}/{his}/consent")).status_code == 204  # nothing was given
        key = await key_of(app, bob, "captions")
    async with client_of(app, **{"X-API-Key": key}) as program:
        assert_problem(await program.post(f"{SETS}/{his}/consent", json=AGREED), 403, "forbidden")
    assert_problem(await ann.post(where, json={"version": "0"}), 409, "consent_outdated")
    assert_problem(await ann.post(where, json={}), 422, "invalid_request")
    assert_problem(await ann.post(where, json={**AGREED, "signed_by": "Bob"}), 422, "invalid_request")
    assert entries(datasets) == []


async def test_a_plan_limits_what_may_be_given(
    app: FastAPI, ann: httpx.AsyncClient, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = app.state.services.credits.plans.plans
    monkeypatch.setitem(plans, "free", plans["free"].model_copy(update={"corpus_recordings": 3}))
    first = await taught(ann, "First", given=KEPT, GRANDMA=21)
    second = await taught(ann, "Second", given=KEPT, GARDEN=22)
    assert (await ann.post(f"{SETS}/{first}/consent", json=AGREED)).json()["recordings"] == 2
    refused = await ann.post(f"{SETS}/{second}/consent", json=AGREED)
    assert_problem(refused, 403, "plan_limit")
    assert refused.json()["limit"] == "corpus_recordings"
    sign_id = (await ann.get(f"{SETS}/{first}")).json()["signs"][0]["id"]
    for take in (2, 3):  # teaching goes on
        assert (await record(ann, first, sign_id, clip(21, take))).status_code == 201
    assert len(entries(datasets)) == 3
    assert (await ann.delete(f"{SETS}/{first}/consent")).status_code == 204
    assert (await ann.post(f"{SETS}/{second}/consent", json=AGREED)).json()["recordings"] == 2
    assert (await ann.delete(f"{SETS}/{second}")).status_code == 204


async def test_a_folder_that_cannot_be_written_or_is_not_ours(
    app: FastAPI, ann: httpx.AsyncClient, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_id = await taught(ann, given=KEPT, GRANDMA=21)
    folder = datasets / "own-bfi"
    folder.mkdir()
    (folder / "clips.csv").write_text("file,glosses,signer,split\nx.npz,A,ann,train\n")
    problem = await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)
    assert_problem(problem, 503, "corpus_unavailable")
    assert "rename it" in problem.json()["detail"]
    assert (await ann.get("/api/signs/corpus")).json()["consents"] == []  # nothing was given
    assert (folder / "clips.csv").read_text().count("\n") == 2
    shutil.rmtree(folder)
    assert (await ann.post(f"{SETS}/{set_id}/consent", json=AGREED)).status_code == 200
    assert len(entries(datasets)) == 2

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:  # what is taken back counts as taken back, and goes as soon as it can
        patched.setattr(corpora, "write", full)
        assert_problem(await ann.delete(f"{SETS}/{set_id}/consent"), 503, "corpus_unavailable")
        assert (await ann.get("/api/signs/corpus")).json()["consents"][0]["revoked_at"] is not None
        sign_id = await sign_in(ann, set_id, "GARDEN")
        assert (await record(ann, set_id, sign_id, clip(22))).status_code == 201
    await app.state.services.corpora.refresh()
    assert entries(datasets) == []


async def test_at_one_machine_names_tell_people_apart(tiny_settings: Settings, postgres: str, tmp_path: Path) -> None:
    with fresh_database(postgres) as database:
        changes = {"database_url": SecretStr(database), "datasets_dir": tmp_path}
        async with running(tiny_settings.model_copy(update=changes)) as app, client_of(app) as client:
            for signed_by, gloss in (("", "A"), ("Ann", "B"), (" ann", "C")):
                set_id = await taught(client, gloss, given=KEPT, **{gloss: 21})
                where = f"{SETS}/{set_id}/consent"
                assert_problem(await client.post(where, json={**AGREED, "signed_by": "\x07"}), 422, "invalid_request")
                assert (await client.post(where, json={**AGREED, "signed_by": signed_by})).status_code == 200
            table = entries(tmp_path)
            signers = {entry.glosses[0]: entry.signer for entry in table}
            assert signers["B"] == signers["C"]
            assert len(set(signers.values())) == 2
            assert "ann" not in (tmp_path / "own-bfi" / "clips.csv").read_text()
