"""Who may use which route and which socket: one table, compared with the OpenAPI document and with every other door.

A route, a socket or a gRPC method without a row here fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
import socketio
import websockets
from fastapi import FastAPI
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed

from app.core.settings import Settings
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.rpc.server import rpc_server
from app.services.accounts.tokens import Token
from app.services.conversation import conversation
from tests.conftest import fresh_database
from tests.support.accounts import Person, client_of, guarded, key_of, person, running
from tests.support.problems import assert_problem
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Everybody who may ask: nobody, the holder of a token of a setting, accounts of each role, and their keys by scope.
WHO = (
    *("nobody", "TRAINING_TOKEN", "METRICS_TOKEN", "user", "operator", "admin"),
    *("user's captions", "user's history", "user's account", "operator's captions", "operator's training"),
    "admin's account",
)
PEOPLE = {"user", "operator", "admin"}
KEYS = {who for who in WHO if "'s " in who}
#: Who is let in; everybody else gets 401, if it is not known who asks, or 403.
EVERYBODY = set(WHO)
CAPTIONS = PEOPLE | {"user's captions", "operator's captions"}
TRAINING = {"operator", "admin", "operator's training", "TRAINING_TOKEN"}
WATCHING = {"operator", "admin", "operator's captions", "operator's training", "admin's account"} | {
    "METRICS_TOKEN",
    "TRAINING_TOKEN",
}
WITH_ACCOUNT = PEOPLE | KEYS
HISTORY = PEOPLE | {"user's history"}
OWN = PEOPLE | {"user's account", "admin's account"}
SIGNED_IN = PEOPLE
CONSENTING = set(PEOPLE)  # for captions, but no program speaks for a person; without accounts, everybody
ADMINS = {"admin"}

HTTP: dict[str, set[str]] = {
    "POST /api/inference/predict": CAPTIONS,
    "POST /api/inference/frames": CAPTIONS,
    "POST /api/inference/landmarks": CAPTIONS,
    "GET /api/health": EVERYBODY,
    "GET /api/health/live": EVERYBODY,
    "GET /api/health/ready": EVERYBODY,
    "GET /api/health/system": WATCHING,
    "GET /api/health/models": CAPTIONS,
    "GET /healthz": EVERYBODY,
    "GET /metrics": WATCHING,
    "GET /labels": CAPTIONS,
    "GET /api/labels": CAPTIONS,
    "GET /api/vocabularies": CAPTIONS,
    "GET /api/speech/engines": CAPTIONS,
    "POST /api/speech/transcribe": CAPTIONS,
    "POST /api/speech/translate": CAPTIONS,
    "POST /api/speech/synthesise": CAPTIONS,
    "GET /api/speech/voice": CAPTIONS,
    "PUT /api/speech/voice": CAPTIONS,
    "DELETE /api/speech/voice": CAPTIONS,
    "POST /v1/audio/transcriptions": CAPTIONS,
    "POST /v1/audio/speech": CAPTIONS,
    "GET /api/signs": CAPTIONS,
    "GET /api/signs/{glosses}": CAPTIONS,
    "POST /api/signs/perform": CAPTIONS,
    "GET /api/signs/sets": CAPTIONS,
    "POST /api/signs/sets": CAPTIONS,
    "POST /api/signs/sets/import": CAPTIONS,
    "POST /api/signs/sets/shared": CAPTIONS,
    "POST /api/signs/sets/copy": CAPTIONS,
    "GET /api/signs/sets/{set_id}": CAPTIONS,
    "PATCH /api/signs/sets/{set_id}": CAPTIONS,
    "DELETE /api/signs/sets/{set_id}": CAPTIONS,
    "GET /api/signs/sets/{set_id}/export": CAPTIONS,
    "POST /api/signs/sets/{set_id}/share": CAPTIONS,
    "DELETE /api/signs/sets/{set_id}/share": CAPTIONS,
    "POST /api/signs/sets/{set_id}/signs": CAPTIONS,
    "PATCH /api/signs/sets/{set_id}/signs/{sign_id}": CAPTIONS,
    "DELETE /api/signs/sets/{set_id}/signs/{sign_id}": CAPTIONS,
    "POST /api/signs/sets/{set_id}/signs/{sign_id}/recordings": CAPTIONS,
    "DELETE /api/signs/sets/{set_id}/signs/{sign_id}/recordings/{recording_id}": CAPTIONS,
    "GET /api/signs/corpus": CAPTIONS,
    "POST /api/signs/sets/{set_id}/consent": CONSENTING,
    "DELETE /api/signs/sets/{set_id}/consent": CONSENTING,
    "POST /api/training/start": TRAINING,
    "GET /api/training/status": TRAINING,
    "GET /api/training/jobs": TRAINING,
    "GET /api/training/jobs/{job_id}": TRAINING,
    "GET /api/training/jobs/{job_id}/metrics": TRAINING,
    "GET /api/training/jobs/{job_id}/logs": TRAINING,
    "POST /api/training/jobs/{job_id}/stop": TRAINING,
    "POST /api/training/jobs/{job_id}/resume": TRAINING,
    "GET /api/training/checkpoints": TRAINING,
    "POST /api/training/checkpoints/{checkpoint_id}/activate": TRAINING,
    "GET /api/auth/options": EVERYBODY,
    "POST /api/auth/register": EVERYBODY,
    "POST /api/auth/sign-in": EVERYBODY,
    "POST /api/auth/refresh": EVERYBODY,
    "POST /api/auth/sign-out": EVERYBODY,
    "POST /api/auth/password-reset": EVERYBODY,
    "POST /api/auth/password-reset/confirm": EVERYBODY,
    "POST /api/auth/sign-out-everywhere": SIGNED_IN,
    "POST /api/auth/password": SIGNED_IN,
    "POST /api/auth/second-factor": SIGNED_IN,
    "POST /api/auth/second-factor/on": SIGNED_IN,
    "POST /api/auth/second-factor/off": SIGNED_IN,
    "POST /api/auth/ticket": WITH_ACCOUNT,
    "GET /api/users/me": OWN,
    "GET /api/users": ADMINS,
    "PATCH /api/users/{user_id}": ADMINS,
    "GET /api/keys": SIGNED_IN,
    "POST /api/keys": SIGNED_IN,
    "DELETE /api/keys/{key_id}": SIGNED_IN,
    "GET /api/history": HISTORY,
    "GET /api/history/{session_id}": HISTORY,
    "DELETE /api/history/{session_id}": HISTORY,
    "PATCH /api/history/{session_id}/lines/{number}": HISTORY,
    "GET /api/account/export": SIGNED_IN,
    "DELETE /api/account": SIGNED_IN,
    "GET /api/live/follow": EVERYBODY,  # for whom the client of the session gave the id, which cannot be guessed
    "GET /api/billing/plans": EVERYBODY,
    "GET /api/billing/usage": OWN,
    "GET /api/billing/ledger": OWN,
    "POST /api/billing/checkout": SIGNED_IN,
    "POST /api/billing/portal": SIGNED_IN,
    "POST /api/billing/webhook": EVERYBODY,
    "GET /api/billing/users/{user_id}": ADMINS,
    "POST /api/billing/users/{user_id}/credits": ADMINS,
    "POST /api/billing/users/{user_id}/give-back": ADMINS,
    "POST /api/billing/users/{user_id}/plan": ADMINS,
}
#: Pages and their files, which hold nothing of anybody.
PAGES = {
    *("GET /", "GET /captions", "GET /conversation", "GET /teach", "GET /account", "GET /developers", "GET /training"),
    *("GET /web/{name}", "GET /samples", "GET /samples/{name}"),
    *("GET /glossline.js", "GET /landmarks", "GET /landmarks/{version}/{name}"),
    *("GET /docs", "GET /docs/start.js", "GET /docs/static/{name}", "GET /openapi.json"),
    "GET /asyncapi.json",
}
SOCKETS = {"/api/ws/stream": CAPTIONS, "/ws/stream": CAPTIONS, "/api/ws/speech": CAPTIONS}
SOCKETIO = CAPTIONS
GRPC = {"Recognise": CAPTIONS, "RecogniseBatch": CAPTIONS, "StreamCaptions": CAPTIONS}
#: Services of gRPC that hold nothing of anybody.
GRPC_OPEN = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}

TOKENS = {"TRAINING_TOKEN": "training token of the tests", "METRICS_TOKEN": "metrics token of the tests"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(
    tiny_settings: Settings, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    runs = tmp_path_factory.mktemp("runs")
    tokens = {name.lower(): SecretStr(token) for name, token in TOKENS.items()}
    with fresh_database(postgres) as database:
        settings = guarded(tiny_settings, database, training=True, runs_dir=runs, datasets_dir=runs, **tokens)
        async with running(settings) as app:
            yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(app: FastAPI) -> dict[str, Person]:
    return {role: await person(app, role) for role in ("user", "operator", "admin")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(app: FastAPI, people: dict[str, Person]) -> dict[str, str]:
    """Made straight away: some routes end the sign-ins with which they could be made."""
    services, made = app.state.services, {}
    for who in KEYS:
        owner, _, scope = who.partition("'s ")
        _, made[who] = await services.keys.create(UUID(people[owner].id), who, {scope}, None)
    return made


async def token_of(app: FastAPI, who: str, people: Mapping[str, Person], keys: Mapping[str, str]) -> str | None:
    """What they send. Access tokens are made when they are needed: some routes end all of an account."""
    if who not in PEOPLE:
        return TOKENS.get(who) or keys.get(who)
    accounts, owner = app.state.services.accounts, UUID(people[who].id)
    user = await accounts.get(owner)
    made: str = accounts._tokens.make("access", Token(uuid4(), owner, user.sign_ins_from), 60)
    return made


def refusal(who: str, allowed: set[str] = CAPTIONS) -> tuple[int, str]:
    unknown = who in ("nobody", "METRICS_TOKEN")
    if who == "TRAINING_TOKEN":  # is known, but has no account
        unknown = any(allowed is one for one in (OWN, SIGNED_IN, ADMINS, WITH_ACCOUNT, HISTORY))
    return (401, "unauthenticated") if unknown else (403, "forbidden")


# -- HTTP ------------------------------------------------------------------------------------------------------------


def routes(app: FastAPI) -> tuple[set[str], set[str]]:
    """All HTTP routes as "METHOD path", and the paths of WebSockets, whether they are documented or not."""
    http, sockets, pending = set(), set(), list(app.routes)
    while pending:
        route: Any = pending.pop()
        router = getattr(route, "original_router", None)
        if router is not None:
            pending += router.routes
        elif getattr(route, "methods", None):
            http |= {f"{method} {route.path}" for method in route.methods - {"HEAD"}}
        else:
            sockets.add(route.path)
    return http, sockets


async def test_every_route_has_its_row(app: FastAPI) -> None:
    async with client_of(app) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    documented = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert documented == set(HTTP)
    http, sockets = routes(app)
    assert http == set(HTTP) | PAGES
    assert sockets == set(SOCKETS) | {"/socket.io"}


@pytest.mark.parametrize("route", HTTP)
async def test_http(app: FastAPI, people: dict[str, Person], keys: dict[str, str], route: str) -> None:
    method, _, path = route.partition(" ")
    path = path.replace("{user_id}", str(uuid4())).replace("{key_id}", str(uuid4())).replace("{", "").replace("}", "")
    async with client_of(app) as client:
        for who in WHO:
            token = await token_of(app, who, people, keys)
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            answer = await client.request(method, path, headers=headers)
            if who in HTTP[route]:
                assert answer.status_code not in (401, 403), (who, answer.text)
                assert answer.status_code < 500, (who, answer.text)
            else:
                assert_problem(answer, *refusal(who, HTTP[route]))
            documented = app.openapi()["paths"][route.partition(" ")[2]][method.lower()]["responses"]
            assert str(answer.status_code) in documented, (who, answer.text)


@pytest.mark.parametrize("route", sorted(PAGES))
async def test_pages_are_for_everybody(app: FastAPI, route: str) -> None:
    async with client_of(app) as client:
        answer = await client.get(route.partition(" ")[2])
        assert answer.status_code in (200, 307, 404), answer.text


async def test_a_program_on_this_machine_may_read_the_numbers_and_nothing_else(app: FastAPI) -> None:
    async with client_of(app, "127.0.0.1", host="localhost") as client:
        assert (await client.get("/metrics")).status_code == 200
        assert_problem(await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.9"}), 401, "unauthenticated")
        assert_problem(await client.get("/api/labels"), 401, "unauthenticated")
        assert_problem(await client.get("/api/training/jobs"), 401, "unauthenticated")


# -- WebSocket -------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(app: FastAPI) -> AsyncIterator[str]:
    async with served(app) as host:
        yield host


async def talk(address: str, headers: Mapping[str, str], *messages: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The first event, and the code with which the connection ends after `stop`."""
    async with websockets.connect(address, additional_headers=headers) as socket:
        for message in messages or ({"type": "start"}, {"type": "stop"}):
            with contextlib.suppress(ConnectionClosed):
                await socket.send(json.dumps(message))
        first = json.loads(await socket.recv())
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code is not None
        return first, socket.close_code


@pytest.mark.parametrize("path", SOCKETS)
async def test_websocket(host: str, app: FastAPI, people: dict[str, Person], keys: dict[str, str], path: str) -> None:
    for who in WHO:
        token = await token_of(app, who, people, keys)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        event, code = await talk(f"ws://{host}{path}", headers)
        if who in SOCKETS[path]:
            assert (event["type"], code) == ("ready", 1000), who
        else:
            assert (event["type"], event["code"], event["fatal"]) == ("error", refusal(who)[1], True), who
            assert code == 4401, who


async def test_a_session_whose_client_is_lost_makes_room_for_one_of_another_kind(host: str, app: FastAPI) -> None:
    """The free plan has one live session at once, of whatever kind."""
    bob, services = await person(app), app.state.services
    signing, speaking = ("/api/ws/stream", services.captions), ("/api/ws/speech", services.live_speech)
    for (lost, hub), (next_one, _) in ((signing, speaking), (speaking, signing)):
        async with websockets.connect(f"ws://{host}{lost}", additional_headers=bob.headers) as socket:
            await socket.send('{"type": "start"}')
            assert json.loads(await socket.recv())["type"] == "ready"
            event, code = await talk(f"ws://{host}{next_one}", dict(bob.headers))
            assert (event["code"], code) == ("plan_limit", 4403)  # while it has its client
            socket.transport.abort()
        while hub.streams.in_use:  # noqa: ASYNC110 - until the service has noticed
            await asyncio.sleep(0.05)
        event, code = await talk(f"ws://{host}{next_one}", dict(bob.headers))
        assert (event["type"], code) == ("ready", 1000)


async def test_a_key_in_its_own_header_opens_a_websocket(host: str, keys: dict[str, str]) -> None:
    event, code = await talk(f"ws://{host}/api/ws/stream", {"X-API-Key": keys["user's captions"]})
    assert (event["type"], code) == ("ready", 1000)


async def ticket_of(app: FastAPI, token: str) -> str:
    async with client_of(app) as client:
        answer = await client.post("/api/auth/ticket", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        ticket: str = answer.json()["ticket"]
        return ticket


async def test_a_ticket_opens_one_websocket(
    host: str, app: FastAPI, people: dict[str, Person], keys: dict[str, str]
) -> None:
    token = await token_of(app, "user", people, keys)
    assert token is not None
    ticket = await ticket_of(app, token)
    answers = await asyncio.gather(*(talk(f"ws://{host}/api/ws/stream?ticket={ticket}", {}) for _ in range(5)))
    assert sorted(code for _, code in answers) == [1000, 4401, 4401, 4401, 4401]
    for wrong in ("x", "'%20OR%201=1%20--", "%00", "x" * 2000):
        _, code = await talk(f"ws://{host}/api/ws/stream?ticket={wrong}", {})
        assert code == 4401


async def test_a_ticket_has_the_scopes_of_the_key_that_asked_and_ends_with_it(
    host: str, app: FastAPI, keys: dict[str, str]
) -> None:
    ticket = await ticket_of(app, keys["user's history"])
    event, code = await talk(f"ws://{host}/ws/stream?ticket={ticket}", {})
    assert (event["code"], code) == ("forbidden", 4401)
    bob = await person(app)
    key = await key_of(app, bob, "captions")
    ticket = await ticket_of(app, key)
    mine = await app.state.services.keys.all_of(UUID(bob.id))
    await app.state.services.keys.revoke(UUID(bob.id), mine[0].id)
    _, code = await talk(f"ws://{host}/ws/stream?ticket={ticket}", {})
    assert code == 4401


async def test_a_session_of_somebody_else_cannot_be_resumed(host: str, keys: dict[str, str]) -> None:
    """Not even with its token."""
    address = f"ws://{host}/api/ws/stream"
    headers = {"X-API-Key": keys["user's captions"]}
    async with websockets.connect(address, additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "start"}))
        ready = json.loads(await socket.recv())
        resume = {"session_id": ready["session_id"], "token": ready["resume_token"], "last_seq": 0}
        start = {"type": "start", "resume": resume}
        event, code = await talk(address, {"X-API-Key": keys["operator's captions"]}, start)
        assert (event["code"], code) == ("unknown_session", 4400)
        event, code = await talk(address, headers, start, {"type": "stop"})
        assert (event["type"], code) == ("ready", 1000)


@pytest.mark.parametrize("end", ["signed out everywhere", "key revoked", "disabled"])
async def test_a_live_session_ends_soon_after_its_sign_in_or_key(
    host: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(conversation, "RECHECK_S", 0.2)
    accounts, keys = app.state.services.accounts, app.state.services.keys
    bob = await person(app)
    key = await key_of(app, bob, "captions")
    sent = {"X-API-Key": key} if end == "key revoked" else bob.headers
    async with websockets.connect(f"ws://{host}/api/ws/stream", additional_headers=sent) as socket:
        assert json.loads(await socket.recv())["type"] == "ready"
        await asyncio.sleep(1)
        assert socket.close_code is None
        if end == "signed out everywhere":
            await accounts.sign_out_everywhere(UUID(bob.id))
        elif end == "disabled":
            await accounts.change(UUID(bob.id), None, True)
        else:
            await keys.revoke(UUID(bob.id), (await keys.all_of(UUID(bob.id)))[0].id)
        last: dict[str, Any] = {}
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(60):
                while True:
                    last = json.loads(await socket.recv())
        assert (last["type"], last["code"], socket.close_code) == ("error", "unauthenticated", 4401)


# -- Socket.IO -------------------------------------------------------------------------------------------------------


async def socketio_outcome(host: str, **options: Any) -> str:
    """ready, or the code of the refusal."""
    sio = socketio.AsyncClient(reconnection=False)
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def say(text: str) -> None:
        if not said.done():
            said.set_result(text)

    sio.on("status", lambda content: say(content["message"]))
    sio.on("connect_error", lambda content: say(content["data"]["code"] if isinstance(content, dict) else str(content)))
    with contextlib.suppress(socketio.exceptions.ConnectionError):
        await sio.connect(f"http://{host}", **options)
    try:
        return await asyncio.wait_for(said, 10)
    finally:
        await sio.disconnect()


async def test_socketio(host: str, app: FastAPI, people: dict[str, Person], keys: dict[str, str]) -> None:
    for who in WHO:
        token = await token_of(app, who, people, keys)
        outcome = await socketio_outcome(host, auth=None if token is None else {"token": token})
        assert outcome == ("ready" if who in SOCKETIO else refusal(who)[1]), who
    key = keys["user's captions"]
    assert await socketio_outcome(host, auth={"key": key}) == "ready"
    assert await socketio_outcome(host, headers={"Authorization": f"Bearer {key}"}) == "ready"
    ticket = await ticket_of(app, key)
    assert await socketio_outcome(host, auth={"ticket": ticket}) == "ready"
    assert await socketio_outcome(host, auth={"ticket": ticket}) == "unauthenticated"
    for odd in ({"token": 5}, {"token": ["x"]}, ["x"], "x", {"key": "gl_' OR 1=1 --"}, {}):
        assert await socketio_outcome(host, auth=odd) == "unauthenticated", odd


# -- gRPC ------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(app: FastAPI) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        rpc_server(app.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel,
    ):
        yield channel


async def rpc_outcome(stub: CaptionerStub, method: str, sent: Any) -> tuple[grpc.StatusCode, str | None]:
    if method == "StreamCaptions":
        call = stub.StreamCaptions(metadata=sent)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for message in (pb.StreamCaptionsRequest(start=pb.Start()), pb.StreamCaptionsRequest(stop=pb.Stop())):
                await call.write(message)
            await call.done_writing()
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
        return await call.code(), dict(await call.trailing_metadata()).get("glossline-code")
    request = {"Recognise": pb.RecogniseRequest, "RecogniseBatch": pb.RecogniseBatchRequest}[method]()
    try:
        await getattr(stub, method)(request, metadata=sent)
    except grpc.aio.AioRpcError as refused:
        return refused.code(), dict(refused.trailing_metadata()).get("glossline-code")
    return grpc.StatusCode.OK, None


async def test_grpc(channel: grpc.aio.Channel, app: FastAPI, people: dict[str, Person], keys: dict[str, str]) -> None:
    statuses = {401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["Captioner"].methods}
    assert methods == set(GRPC)
    stub = CaptionerStub(channel)
    for method, allowed in GRPC.items():
        for who in WHO:
            token = await token_of(app, who, people, keys)
            sent = [] if token is None else [("authorization", f"Bearer {token}")]
            status, code = await rpc_outcome(stub, method, sent)
            if who in allowed:  # an empty clip is the caller's fault, an empty stream is none
                assert (status, code) in (
                    (grpc.StatusCode.OK, None),
                    (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request"),
                ), (method, who)
            else:
                assert (status, code) == (statuses[refusal(who)[0]], refusal(who)[1]), (method, who)
    status, _ = await rpc_outcome(stub, "Recognise", [("x-api-key", keys["user's captions"])])
    assert status == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_health_of_grpc_is_for_everybody(channel: grpc.aio.Channel) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    services = {service.name for service in (await call.read()).list_services_response.service}
    await call.done_writing()
    assert services - GRPC_OPEN == {"glossline.v1.Captioner"}


# -- AUTH_MODE=open --------------------------------------------------------------------------------------------------


async def test_in_open_mode_accounts_work_beside_anonymous_use(tiny_settings: Settings, database_url: str) -> None:
    async with running(guarded(tiny_settings, database_url, auth_mode="open", training=True)) as app:
        user, operator = await person(app), await person(app, "operator")
        key = await key_of(app, user, "history")
        async with client_of(app) as client:

            async def get(path: str, token: str | None) -> httpx.Response:
                return await client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

            assert (await get("/api/labels", None)).status_code == 200
            assert (await get("/metrics", None)).status_code == 200
            assert (await get("/api/labels", user.access)).status_code == 200
            assert_problem(await get("/api/labels", key), 403, "forbidden")
            assert_problem(await get("/api/labels", "gl_wrong"), 401, "unauthenticated")
            assert_problem(await get("/api/keys", None), 401, "unauthenticated")
            assert_problem(await client.post("/api/auth/ticket"), 401, "unauthenticated")
            assert_problem(await get("/api/training/jobs", None), 403, "training_forbidden")
            assert_problem(await get("/api/training/jobs", user.access), 403, "forbidden")
            assert (await get("/api/training/jobs", operator.access)).status_code == 200
            other = await client.get("/api/labels", headers={"Authorization": "Basic YTpi"})  # of a proxy, perhaps
            assert other.status_code == 200


async def test_without_a_database_there_are_no_accounts(tiny_settings: Settings) -> None:
    async with running(tiny_settings) as app, client_of(app) as client:
        body = {"email": "ann@example.org", "password": "seven quiet herons"}
        assert_problem(await client.post("/api/auth/sign-in", json=body), 404, "not_found")
        assert_problem(await client.get("/api/labels", headers={"X-API-Key": "gl_x"}), 401, "unauthenticated")
        assert (await client.get("/api/labels")).status_code == 200


async def test_without_its_database_a_guarded_service_says_so(tiny_settings: Settings) -> None:
    nowhere = guarded(tiny_settings, "postgresql://nobody@127.0.0.1:1/none")
    async with running(nowhere) as app, client_of(app) as client:
        assert_problem(await client.get("/api/labels", headers={"X-API-Key": "gl_x"}), 503, "database_unavailable")
        assert_problem(await client.get("/api/labels"), 401, "unauthenticated")
        assert (await client.get("/api/health/ready")).json()["database"] == "unavailable"
