"""The talk with one client, about nothing in particular: sessions and doors of this file know no signs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.errors import Close, Draining, Full, InvalidMessage, ServiceError, TooFast
from app.core.principal import Principal
from app.services.conversation import conversation
from app.services.conversation.commands import Ping, Resume, Start, Stop
from app.services.conversation.conversation import ClientDisconnected, Conversation
from app.services.conversation.events import Done, Event, Ready
from app.services.conversation.outbox import Outbox

pytestmark = pytest.mark.asyncio


class Session:
    id = "1"

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.failed: ServiceError | None = None
        self.finished = False
        self.has_input = False
        self.handled: list[Any] = []
        self.outbox.put(Ready(session_id=self.id, resume_token="t"))

    async def handle(self, command: Any) -> None:
        if isinstance(command, Exception):
            raise command
        self.has_input = True
        self.handled.append(command)

    def touch(self) -> None:
        pass

    def stats(self) -> Event:
        return Event(type="stats")

    async def finish(self) -> None:
        self.finished = True
        self.outbox.put_last(Done())


class Sessions:
    def __init__(self, refuse: ServiceError | None = None) -> None:
        self.refuse = refuse
        self.opened: list[Any] = []
        self.session = Session()
        self.refused: list[str] = []
        self.dropped, self.was_lost, self.connection = 0, False, 0

    @contextlib.contextmanager
    def admit(self, address: str | None) -> Iterator[None]:
        yield

    async def open(self, start: Any, principal: Principal) -> Session:
        if self.refuse is not None:
            raise self.refuse
        self.opened.append(start)
        return self.session

    def resume(self, resume: Resume, principal: Principal) -> Session:
        return self.session

    def connection_of(self, session: Session) -> int:
        return self.connection

    def lost(self, session: Session, connection: int) -> None:
        self.was_lost = True

    async def drop(self, session_id: str) -> None:
        self.dropped += 1

    def count_refusal(self, problem: ServiceError) -> None:
        self.refused.append(problem.code)

    def count_event(self, event: Event) -> None:
        pass


class Door:
    """A client that sends these commands, raises these errors, and then waits."""

    def __init__(self, *commands: Any) -> None:
        self.commands = list(commands)
        self.sent: list[Any] = []
        self.closed: list[ServiceError | None] = []

    async def receive(self) -> Any:
        await asyncio.sleep(0.01)
        if not self.commands:
            await asyncio.sleep(60)
        command = self.commands.pop(0)
        if isinstance(command, Exception):
            raise command
        return command

    async def send(self, event: Event) -> None:
        self.sent.append(event)

    async def close(self, problem: ServiceError | None) -> None:
        self.closed.append(problem)


async def talk(door: Door, sessions: Sessions) -> list[str]:
    async with asyncio.timeout(20):
        await Conversation(door, sessions).run()
    return [event.type for event in door.sent]


async def test_from_start_to_stop() -> None:
    door, sessions = Door(Start(), "a command", Ping(), Stop()), Sessions()
    assert await talk(door, sessions) == ["ready", "pong", "done"]
    assert sessions.session.handled == ["a command"]
    assert [event.seq for event in door.sent] == [1, 2, 3]
    assert (door.closed, sessions.dropped) == ([None], 1)


async def test_a_first_command_needs_no_start() -> None:
    door, sessions = Door("a command", Stop()), Sessions()
    await talk(door, sessions)
    assert sessions.opened == [None]
    assert sessions.session.handled == ["a command"]


async def test_a_bad_message_is_named_and_the_talk_goes_on() -> None:
    door = Door(InvalidMessage("points: Field required"), "a command", InvalidMessage(), Stop())
    assert await talk(door, Sessions()) == ["ready", "error", "error", "done"]
    assert (door.sent[1].code, door.sent[1].fatal) == ("invalid_message", False)


@pytest.mark.parametrize("broken", [False, True], ids=["a refusal", "a bug"])
async def test_what_ends_a_session_is_named_before_the_close(broken: bool) -> None:
    door, sessions = Door(Start(), ValueError("a bug") if broken else TooFast()), Sessions()
    await talk(door, sessions)
    assert (door.sent[-1].type, door.sent[-1].fatal) == ("error", True)
    (problem,) = door.closed
    assert problem is not None
    assert problem.close is (Close.INTERNAL if broken else Close.TOO_FAST)
    assert "a bug" not in problem.detail


async def test_the_session_may_end_it() -> None:
    door, sessions = Door(Start()), Sessions()
    sessions.session.failed = Draining()
    assert (await talk(door, sessions))[-1] == "error"
    assert door.sent[-1].code == "draining"


async def test_a_client_without_a_session_is_refused_and_counted() -> None:
    door, sessions = Door(Start()), Sessions(refuse=Full())
    assert await talk(door, sessions) == ["error"]
    assert sessions.refused == ["full"]
    assert door.sent[0].seq == 1


@pytest.mark.parametrize("clean", [False, True])
async def test_a_lost_connection_leaves_its_session_for_a_while_and_a_closed_one_does_not(clean: bool) -> None:
    door, sessions = Door(Start(), ClientDisconnected(clean)), Sessions()
    await talk(door, sessions)
    assert (sessions.was_lost, sessions.dropped) == (not clean, int(clean))
    assert door.closed == []


async def test_another_connection_takes_over() -> None:
    door, sessions = Door(Start()), Sessions()
    running = asyncio.create_task(talk(door, sessions))
    await asyncio.sleep(0.1)
    sessions.connection = 1
    await running
    assert door.sent[-1].code == "taken_over"
    assert sessions.dropped == 0


async def test_too_many_faults_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MAX_FAULTS", 3)
    door = Door(Start(), *(InvalidMessage() for _ in range(10)))
    await talk(door, Sessions())
    assert door.sent[-1].code == "too_many_faults"
