"""What tests of several parts share: a tiny real recogniser, settings for it, the folder of real data."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import hypothesis
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.settings import Settings
from app.db.database import async_url
from app.db.embedded import EmbeddedPostgres
from app.db.migrate import upgrade
from tests.support.shared_parts import one_landmark_process, quick_passwords

# A test never fails because the machine is busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TESTS = Path(__file__).parent
#: Files that take longest, the longest first (`make test PYTEST_ARGS=--durations=0`): begun last, one of them would
#: keep a worker busy after the others have ended.
LONGEST = (
    "api/test_training_e2e.py",
    "web/test_caption_page.py",
    "api/test_process.py",
    "web/test_landmarks_in_browser.py",
    "web/test_teach_page.py",
    "training/loop/test_trainer.py",
    "api/test_credits_after_kill.py",
    "api/test_schema_phases.py",
    "web/test_developers_page.py",
    "signer/test_read_by_the_recogniser.py",
    "api/test_schema_properties.py",
    "api/test_billing.py",
    "training/test_two_ray_nodes.py",
    "web/test_conversation_page.py",
    "api/test_shipped.py",
)

GLOSSES = ("HELLO", "THANK-YOU", "YOU", "NAME", "WHAT")
VOCABULARIES = {"core": ("HELLO", "WHAT"), "everyday": ("HELLO", "THANK-YOU", "YOU", "NAME")}


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first; xdist is asked to keep this order (`make test`)."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(TESTS).as_posix(), len(order)))


@pytest.fixture(scope="session", autouse=True)
def shared_parts() -> Iterator[None]:
    with one_landmark_process(), quick_passwords():
        yield


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The corpora and clips that live beside the repository; the test skips where they are missing."""
    folder = Path(os.environ.get("GLOSSLINE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is missing (set GLOSSLINE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint 'tiny': the real network, small and untrained, with a vocabulary of five."""
    import torch

    from app.pipeline.checkpoint import CheckpointConfig, save_checkpoint
    from app.pipeline.module3_sequence.model import ModelConfig, SignModel

    folder = tmp_path_factory.mktemp("checkpoints")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ModelConfig(labels=len(GLOSSES), body_dim=8, hand_dim=8, model_dim=16, layers=1)
        save_checkpoint(folder / "tiny", CheckpointConfig("tiny", "ase", GLOSSES, model), SignModel(model))
    return folder


@pytest.fixture(scope="session")
def vocabulary_checkpoints(tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 'tiny' as above, and named vocabularies; with 'core' it is never sure of a sign."""
    folder = tmp_path_factory.mktemp("vocabularies")
    shutil.copytree(tiny_checkpoints / "tiny", folder / "tiny")
    config = json.loads((folder / "tiny/config.json").read_text())
    config["vocabularies"] = {"core": {"decoder": {"unsure": 1.1}, "dev": {"exact": 0.75}}}
    (folder / "tiny/config.json").write_text(json.dumps(config))
    (folder / "tiny/vocabularies").mkdir()
    for name, glosses in VOCABULARIES.items():
        (folder / f"tiny/vocabularies/{name}.txt").write_text("\n".join(glosses))
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_checkpoints: Path) -> Settings:
    """Settings of a service with the tiny recogniser on the CPU; no .env of the developer leaks in."""
    return Settings(
        _env_file=None,
        checkpoint="tiny",
        checkpoint_dir=tiny_checkpoints,
        device="cpu",
        use_amp=False,  # so that the answers are the same on every CPU
        extractor_workers=2,
        max_upload_mb=8,
        max_duration_s=20,
        max_concurrent_requests=8,
        connects_per_address=100_000,
        allowed_hosts=["glossline"],
        auth_secret="a secret of thirty-two characters or more",
        speech_translator="off",  # so that answers do not depend on what the machine has
        training=False,  # and with it the database, which a test that needs one asks for
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a real PostgreSQL that lasts as long as the tests, with the migrated database `template`."""
    with database_folder() as folder, _template(folder) as address:
        yield address


@contextmanager
def database_folder() -> Iterator[Path]:
    """A folder for an embedded database. Not pytest's: run by root, PostgreSQL has an account of its own, from which
    every other pytest that starts locks those folders away."""
    with tempfile.TemporaryDirectory(prefix="glossline-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _template(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder)
    address = server.start()
    try:
        _sql(address, "CREATE DATABASE template")

        async def migrate() -> None:
            engine = create_async_engine(async_url(_named(address, "template")))
            await upgrade(engine)
            await engine.dispose()

        asyncio.run(migrate())
        yield address
    finally:
        server.stop()


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """Address of a database of the test's own, without tables."""
    with _fresh(postgres, "template0") as address:
        yield address


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Address of a database of the test's own, migrated and empty."""
    with fresh_database(postgres) as address:
        yield address


def fresh_database(server: str) -> AbstractContextManager[str]:
    """Address of a database of one's own on this server, migrated and empty, for as long as the block lasts."""
    return _fresh(server, "template")


@contextmanager
def _fresh(server: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    _sql(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _named(server, name)
    finally:
        _sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def _named(address: str, database: str) -> str:
    return async_url(address).set(drivername="postgresql", database=database).render_as_string(hide_password=False)


def _sql(address: str, statement: str) -> None:
    """In a loop of its own, so that fixtures of any kind of test may use it."""

    async def run() -> None:
        url = async_url(address)
        connection = await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join()
