"""The history on a real database: written once whatever happens, found, purged; what is too much is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import delete

from app.core.errors import DatabaseUnavailable, Unauthenticated
from app.core.principal import ANONYMOUS
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import User
from app.services.captions.events import Final, Gloss, Partial, SentenceText, StreamWeights
from app.services.captions.recording import MAX_PARTIALS, LiveRecord
from app.services.history import repository, writer
from app.services.history.records import Begun, Line, Record
from app.services.history.repository import Query
from app.services.history.service import History, checked_owner
from app.services.recognition.subtitles import LINE, LINES, sentence_cues, to_srt
from tests.support.ledger import new_user, opened, rows

#: What the export has of it: what is kept because the person agreed.
WITH_CONSENT = {"training_consents", "own_voice"}
SESSION = {"sign_language": "ase", "model": "tiny", "vocabulary": "all"}


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def history(database: Database) -> AsyncIterator[History]:
    history = History(Settings(_env_file=None, history_days=30), database)
    try:
        yield history
    finally:
        await history.close()


@pytest_asyncio.fixture
async def owner(database: Database) -> UUID:
    user_id = (await new_user(database)).user_id
    assert user_id is not None
    return user_id


def caption(number: int, sentence: str, kind: type[Partial | Final] = Final) -> Partial | Final:
    start_ms = number * 2000
    ended = {"reason": "endpoint"} if kind is Final else {}
    return kind(
        segment=number,
        revision=1,
        start_ms=start_ms,
        end_ms=start_ms + 1000,
        until_ms=start_ms + 1500,
        gloss=(Gloss(gloss="HELLO", confidence=0.9, start_ms=0, end_ms=900, final=True, unsure=False),),
        gloss_text="HELLO",
        sentence=sentence,
        text=SentenceText(en=sentence),
        confidence=0.9,
        attention=StreamWeights(rgb=0.0, pose=1.0),
        vocabulary="all",
        lag_ms=80.0,
        **ended,
    )


def begun(history: History, owner: UUID, warnings: list[str] | None = None) -> LiveRecord:
    said = [] if warnings is None else warnings
    return LiveRecord(owner, history.writer.put, lambda code, message: said.append(code), **SESSION)


async def test_a_session_with_its_lines_and_bounded_partials(history: History, owner: UUID) -> None:
    record = begun(history, owner)
    for place in range(500):
        record.add(caption(0, f"Hello {place}", Partial))
    record.add(caption(0, "Hello there."))
    record.add(caption(1, "Goodbye."))
    record.end(12.5, 13)
    record.end(99.0, 99)  # a second time changes nothing
    await history.writer.written()
    row, lines, more = await history.get(owner, record.id, -1, 10)
    assert (row.kind, row.duration_s, row.credits, row.lines_lost, more) == ("live", 12.5, 13, 0, False)
    assert row.ended_at is not None
    assert [line.sentence for line in lines] == ["Hello there.", "Goodbye."]
    shown = [partial["sentence"] for partial in lines[0].partials]
    assert 2 < len(shown) <= MAX_PARTIALS
    assert (shown[0], shown[-1]) == ("Hello 0", "Hello 499")
    assert lines[1].partials == []
    assert set(lines[0].glosses[0]) == {"gloss", "confidence", "start_ms", "end_ms", "unsure"}
    _, lines, more = await history.get(owner, record.id, -1, 1)
    assert ([line.number for line in lines], more) == ([0], True)


async def test_writing_a_record_twice_changes_nothing(database: Database, owner: UUID) -> None:
    kept: list[Record] = []
    record = LiveRecord(owner, lambda entry: kept.append(entry) is None, lambda code, message: None, **SESSION)
    record.add(caption(0, "Once."))
    record.end(3, 0)
    for entry in [*kept, *kept]:
        async with database.session() as session:
            await repository.write(session, entry)
    assert await rows(database, "SELECT sentence, duration_s FROM caption_lines, caption_sessions") == [("Once.", 3.0)]


async def test_while_the_database_is_away_nothing_is_lost(
    history: History, database: Database, owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    database.problem = "stopped by the test"
    record = begun(history, owner)
    for number in range(250):  # more than one transaction
        record.add(caption(number, f"Sentence {number}."))
    record.end(500, 500)
    await asyncio.sleep(0.1)
    database.problem = None
    await history.writer.written()
    assert await rows(database, "SELECT count(*), max(number) FROM caption_lines") == [(250, 249)]
    assert await rows(database, "SELECT credits, lines_lost FROM caption_sessions") == [(500, 0)]


async def test_when_too_much_waits_nothing_more_is_promised(
    history: History, database: Database, owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    monkeypatch.setattr(writer, "MAX_WAITING", 3)
    database.problem = "stopped by the test"
    warnings: list[str] = []
    record = begun(history, owner, warnings)
    for number in range(5):
        record.add(caption(number, "Hello."))
    record.end(10, 10)
    assert warnings == ["not_saved"]
    with pytest.raises(DatabaseUnavailable, match="nothing can be promised"):
        history.check()
    database.problem = None
    await history.writer.written()
    history.check()
    assert await rows(database, "SELECT lines_lost, credits FROM caption_sessions") == [(3, 10)]
    assert await rows(database, "SELECT number FROM caption_lines ORDER BY number") == [(0,), (1,)]


async def test_what_was_deleted_meanwhile_keeps_nothing_else_from_being_written(
    history: History, database: Database, owner: UUID
) -> None:
    gone = (await new_user(database)).user_id
    assert gone is not None
    async with database.session() as session:
        await session.execute(delete(User).where(User.id == gone))
    for user in (gone, owner):
        record = begun(history, user)
        record.add(caption(0, "Hello."))
    await history.writer.written()
    assert await rows(database, "SELECT user_id FROM caption_sessions") == [(owner,)]
    await history.remove(owner, record.id)
    record.add(caption(1, "Too late."))
    record.end(9, 0)
    await history.writer.written()
    assert await rows(database, "SELECT * FROM caption_sessions") == []
    assert await rows(database, "SELECT * FROM caption_lines") == []


async def test_the_retention_job(history: History, database: Database, owner: UUID) -> None:
    now = datetime.now(UTC)
    for days in (0, 29, 31, 400):
        values = {"user_id": owner, "kind": "clip", "started_at": now - timedelta(days=days), **SESSION}
        old = uuid4()
        history.writer.put(Begun(old, values))
        history.writer.put(Line(old, line("Hello.")))
    await history.writer.written()
    assert await history.purge() == 2
    assert await history.purge() == 0
    assert len(await rows(database, "SELECT * FROM caption_sessions")) == 2
    assert len(await rows(database, "SELECT * FROM caption_lines")) == 2
    forever = History(Settings(_env_file=None), database)
    assert await forever.purge() == 0
    await forever.close()


def line(sentence: str, number: int = 0, end_ms: int = 1000) -> dict[str, object]:
    return {
        "number": number,
        "start_ms": 0,
        "end_ms": end_ms,
        "glosses": [],
        "gloss_text": "",
        "sentence": sentence,
        "text": {"en": sentence},
        "partials": [],
        "confidence": 0.5,
        "vocabulary": "all",
        "lag_ms": 1.0,
    }


async def test_pages_and_words(history: History, database: Database, owner: UUID) -> None:
    now = datetime.now(UTC)
    made = []
    for place in range(7):  # two at the same moment, so that the id decides too
        made.append(uuid4())
        started = now - timedelta(hours=place // 2)
        history.writer.put(Begun(made[-1], {"user_id": owner, "kind": "clip", "started_at": started, **SESSION}))
        history.writer.put(Line(made[-1], line(f"The teacher helped {'students' if place % 2 else 'nobody'}.")))
    await history.writer.written()
    seen: list[UUID] = []
    before: tuple[datetime, UUID] | None = None
    while True:
        found, more = await history.page(owner, Query(before=before), 3)
        seen += [entry.session.id for entry in found]
        if not more:
            break
        before = found[-1].session.started_at, found[-1].session.id
    assert len(seen) == 7
    assert set(seen) == set(made)

    async def number(words: str) -> int:
        return len((await history.page(owner, Query(words=words), 100))[0])

    assert await number("student") == 3  # by its stem
    assert await number("help -students") == 4
    assert await number('"teacher helped"') == 7
    assert await number("nobody or students") == 7
    assert await number("THE") == 7  # a stop word, as many glosses are
    for odd in ("'; DROP TABLE users; --", "\\", "a & | ! ( b:*", "%", "'", '"', "\N{BELL}", "-", "x" * 200):
        assert await number(odd) == 0, odd
    assert len((await history.page(owner, Query(since=now - timedelta(minutes=90), until=now), 100))[0]) == 2
    assert (await history.page(owner, Query(kind="live"), 100))[0] == []
    assert (await history.page(uuid4(), Query(), 100))[0] == []


async def test_the_export_holds_a_page_at_a_time(history: History, database: Database, owner: UUID) -> None:
    session_id = uuid4()
    values = {"user_id": owner, "kind": "live", "started_at": datetime.now(UTC), **SESSION}
    history.writer.put(Begun(session_id, values))
    for number in range(1000):
        history.writer.put(Line(session_id, line("A sentence. " * 10, number)))
    await history.writer.written()
    async with database.session() as session:
        user = await session.get_one(User, owner)
    pieces = [piece async for piece in history.export(user)]
    whole = json.loads(b"".join(pieces))
    assert set(whole) == {"account", "api_keys", "subscription", "ledger", "history", "sign_sets", *WITH_CONSENT}
    assert "password_hash" not in whole["account"]
    assert [entry["number"] for entry in whole["history"][0]["lines"]] == list(range(1000))
    assert max(map(len, pieces)) < sum(map(len, pieces)) / 3


def test_nobody_is_kept_without_an_account() -> None:
    with pytest.raises(Unauthenticated, match="nothing is stored without an account"):
        checked_owner(None, ANONYMOUS)


def test_subtitles_of_sentences_are_readable_and_in_order() -> None:
    long = "This is a sentence that nobody could read in one subtitle, because it goes on and on. " * 4
    cues = sentence_cues([(0.0, 1.0, "Hello."), (1.2, 9.0, long), (9.1, 9.2, "Goodbye.")], 10.0)
    assert cues[0].text == "Hello."
    assert " ".join(cue.text.replace("\n", " ") for cue in cues[1:-1]) == long.strip()
    assert all(len(cue.text.split("\n")) <= LINES for cue in cues)
    assert all(len(part) <= LINE for cue in cues for part in cue.text.split("\n"))
    assert all(before.end_s <= after.start_s + 1e-9 for before, after in pairwise(cues))
    assert sentence_cues([], 5.0) == []
    assert to_srt(sentence_cues([(0.0, 0.0, "Hi.")], 0.0)).startswith("1\n00:00:00,000 --> 00:00:01,000\nHi.")
