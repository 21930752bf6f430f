from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from loguru import logger

from app.core.logging import configure_logging, principal_id, redacted
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
        logger.bind(event="session_end", signs=3, reason=None).info("over")
        principal = principal_id.set("user-7")
        try:
            raise ValueError("wrong")
        except ValueError:
            logger.exception("failed")
        finally:
            principal_id.reset(principal)
    plain, ended, failed = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert datetime.fromisoformat(plain.pop("time")).utcoffset() == timedelta(0)
    logger_name = "tests.core.test_logging"
    assert plain == {
        "level": "WARNING",
        "event": "log",
        "message": "hello",
        "logger": logger_name,
        "request_id": "abc123",
    }
    assert (ended["event"], ended["signs"]) == ("session_end", 3)
    assert "reason" not in ended
    assert "principal_id" not in ended
    assert failed["principal_id"] == "user-7"
    assert "ValueError: wrong" in failed["traceback"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        ("sent bearer abc.def-ghi_123=", "sent bearer ***"),
        ("postgresql://glossline:hunter2@db/x is lost", "postgresql://glossline:***@db/x is lost"),
        ("redis://:hunter2@cache:6379", "redis://:***@cache:6379"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is refused", "token *** is refused"),
        ("whsec_abc123 and sk_live_abc123", "whsec_*** and sk_live_***"),
        ("GET /ws?ticket=abc&vocabulary=core", "GET /ws?ticket=***&vocabulary=core"),
        ('{"password": "open sesame", "email": "a@b.org"}', '{"password": ***, "email": "a@b.org"}'),
        ("AUTH_SECRET='abc'", "AUTH_SECRET=***"),
        ("TRAINING_TOKEN=(hidden): too short", "TRAINING_TOKEN=(hidden): too short"),
        ("the token is not valid", "the token is not valid"),
        ("GET /api/health 200 1 ms", "GET /api/health 200 1 ms"),
    ],
)
def test_credentials_are_masked(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    assert redacted(text) == shown
    configure_logging(Settings(_env_file=None, log_json=True))
    logger.info(text)
    logger.bind(why=text).info("")
    plain, bound = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (plain["message"], bound["why"]) == (shown, shown)


def test_a_message_may_ask_to_stay_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(_env_file=None, log_json=True))
    logger.bind(unredacted=True).warning("no mail server: reset the password at https://x/?token=abc")
    line = json.loads(capsys.readouterr().err)
    assert line["message"].endswith("?token=abc")
    assert "unredacted" not in line


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
