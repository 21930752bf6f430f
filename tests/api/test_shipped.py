"""The README's first command, answered by the recognisers that come with the project; and real clips."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.core.settings import Settings
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import read_frames
from app.pipeline.recogniser import Recogniser
from app.signer import SAMPLES
from tests.support.serving import client_of, running

pytestmark = [pytest.mark.golden, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
DEFAULT = Settings.model_fields["checkpoint"].default
CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"


@asynccontextmanager
async def service(checkpoint: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service with a recogniser of the project, whatever the environment of the tests says."""
    settings = Settings(
        _env_file=None,
        checkpoint=checkpoint,
        checkpoint_dir=CHECKPOINTS,
        device="cpu",
        extractor_workers=1,
        training=False,
        allowed_hosts=["glossline"],
    )
    async with running(settings) as app, client_of(app) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shipped() -> AsyncIterator[httpx.AsyncClient]:
    async with service(DEFAULT) as client:
        yield client


async def predict(client: httpx.AsyncClient, clip: Path, **query: str) -> dict[str, object]:
    content = await asyncio.to_thread(clip.read_bytes)
    files = {"file": (clip.name, content, "video/mp4")}
    answer = await client.post("/api/inference/predict", files=files, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


async def test_the_first_command_of_the_readme(shipped: httpx.AsyncClient) -> None:
    answer = await predict(shipped, SAMPLES / "hello.mp4")
    assert answer["gloss"] == ["HELLO"]
    assert answer["sentence"] == "Hello."
    assert (answer["model"], answer["vocabulary"]) == ("asl-large", "everyday")
    assert answer["warnings"] == []


async def test_the_default_vocabulary_is_everywhere_the_same(shipped: httpx.AsyncClient) -> None:
    known = (await shipped.get("/api/vocabularies")).json()
    assert (known["model"], known["default"]) == ("asl-large", "everyday")
    everyday = next(one for one in known["vocabularies"] if one["default"])
    labels = (await shipped.get("/api/labels")).json()["labels"]
    assert [label["gloss"] for label in labels] == everyday["glosses"]
    assert list((await shipped.get("/labels")).json().values()) == [gloss.lower() for gloss in everyday["glosses"]]
    models = {model["id"]: model for model in (await shipped.get("/api/health/models")).json()["models"]}
    assert {"asl-large", "asl-everyday"} <= models.keys()
    loaded = models["asl-large"]
    assert (loaded["vocabulary"], loaded["vocabulary_size"], loaded["glosses"]) == ("everyday", len(labels), 1616)
    assert (await shipped.get("/healthz")).json()["model"] == "asl-large"


async def test_the_small_recogniser_can_be_chosen() -> None:
    async with service("asl-everyday") as client:
        answer = await predict(client, SAMPLES / "hello.mp4")
        assert (answer["gloss"], answer["model"], answer["vocabulary"]) == (["HELLO"], "asl-everyday", "all")
        assert len((await client.get("/labels")).json()) == 34


@pytest.fixture(scope="module")
def real_clips(shared_folder: Path) -> list[tuple[str, str, Keypoints]]:
    """File, gloss and landmarks of each, found once for all recognisers."""
    with (shared_folder / "samples/samples.csv").open(newline="", encoding="utf-8") as f, MediaPipeEngine(1) as engine:
        found = []
        for row in csv.DictReader(f):
            with closing(engine.open()) as track:
                clip = find_landmarks(read_frames(shared_folder / "samples" / row["file"]), track)
            found.append((row["file"], row["gloss"], clip))
        return found


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("checkpoint", "vocabulary", "right"),
    [("asl-everyday", None, 18), ("asl-large", "core", 20), ("asl-large", None, 18)],
    ids=["asl-everyday", "asl-large core", "asl-large everyday"],
)
async def test_real_clips_are_read(
    real_clips: list[tuple[str, str, Keypoints]], checkpoint: str, vocabulary: str | None, right: int
) -> None:
    """Of the 23 whose gloss the small recogniser knows too: at least what a release has to read, see RESULTS.md."""
    recogniser = Recogniser.load(CHECKPOINTS / checkpoint).reading_with(vocabulary)
    known = set(Recogniser.load(CHECKPOINTS / "asl-everyday").vocabulary)
    answers = {file: (gloss, recogniser.recognise(clip).gloss) for file, gloss, clip in real_clips if gloss in known}
    wrong = {file: pair for file, pair in answers.items() if pair[1] != [pair[0]]}
    assert len(answers) == 23
    assert len(answers) - len(wrong) >= right, wrong
