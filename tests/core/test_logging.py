from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from loguru import logger

from app.core.logging import configure_logging
from app.core.settings import Settings


@pytest.fixture(autouse=True)
def _leave_loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    names = ("uvicorn", "uvicorn.error", "uvicorn.access")
    handlers, level = root.handlers[:], root.level
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in names}
    yield
    logger.remove()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, (kept, propagate) in before.items():
        logging.getLogger(name).handlers[:] = kept
        logging.getLogger(name).propagate = propagate


def test_lines_carry_the_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None))
    with logger.contextualize(request_id="abc123"):
        logger.info("one {} two", "{braces} <tags>")
    line = capsys.readouterr().err
    assert "abc123" in line
    assert "one {braces} <tags> two" in line


def test_long_text_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None))
    logger.info("GET {} 404", "/" + "\x01" * 60_000)
    try:
        raise ValueError("x" * 60_000)
    except ValueError:
        logger.exception("a fault")
    said = capsys.readouterr().err
    assert len(said) < 30_000
    assert "more characters)" in said
    assert "a fault" in said


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None, log_json=True))
    with logger.contextualize(request_id="abc123"):
        logger.warning("hello")
    record = json.loads(capsys.readouterr().err)["record"]
    assert record["extra"]["request_id"] == "abc123"
    assert record["level"]["name"] == "WARNING"


def test_the_servers_own_lines_come_through_and_its_access_log_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None))
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /?token=secret")
    said = capsys.readouterr().err
    assert "test_logging started" in said
    assert "secret" not in said


def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None))
    password = "open sesame"
    try:
        raise ValueError(len(password))
    except ValueError:
        logger.exception("failed")
    said = capsys.readouterr().err
    assert "ValueError: 11" in said
    assert "sesame" not in said.replace('password = "open sesame"', "")


def test_the_level_is_honoured(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None, log_level="warning"))
    logger.info("quiet")
    assert capsys.readouterr().err == ""


FORGED = "x\n2026-11-26 05:40:00.000 INFO    FORGED\r\x1b[31m\x00\x7f\x9b\u2028\u202e\ud800y"


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_cannot_be_forged(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logging(Settings(_env_file=None, log_json=as_json))

    def write() -> None:
        logger.info("GET {}", FORGED)
        with logger.contextualize(request_id=FORGED):
            logger.info(FORGED)
        logging.getLogger("uvicorn.error").warning("Invalid request: %s", FORGED)
        try:
            try:
                raise ValueError(FORGED)
            except ValueError as first:
                first.add_note(FORGED)
                raise OSError(FORGED) from first
        except OSError:
            logger.exception(FORGED)
            logging.getLogger("asyncio").exception("task failed: %s", FORGED)

    write()
    said = capsys.readouterr().err
    assert "FORGED" in said
    assert not set(said) & {"\r", "\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e", "\ud800"}
    lines = said.splitlines()
    if as_json:
        assert len([json.loads(line) for line in lines]) == 5
        return
    heads = [line for line in lines if not line.startswith("    ")]
    assert len(heads) == 5, heads
    assert any(line.strip().startswith("OSError: x\\n2026-11-26") for line in lines)


def test_a_chain_of_exceptions_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None))
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise OSError("second") from error
    except OSError:
        logger.exception("failed")
    said = capsys.readouterr().err
    assert "KeyError: 'first'" in said
    assert "direct cause" in said
    assert "OSError: second" in said
    assert 'test_logging.py", line' in said
