"""The Socket.IO door of live captions: `frame {image}` in, `prediction {label, score}` for each, `caption` events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs

import engineio
import socketio
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.access import socket_credentials, socket_principal
from app.api.captions_ws import close_code
from app.api.dependencies import client_address, services_of
from app.core import bounded_json
from app.core.errors import Close, MalformedMessage, ServiceError
from app.core.principal import Principal
from app.core.settings import Settings
from app.services.captions.commands import MAX_MESSAGE, Command, Start, parse_binary, parse_object
from app.services.captions.events import Prediction
from app.services.captions.session import LiveSession
from app.services.conversation.conversation import ClientDisconnected, Conversation
from app.services.conversation.events import Event, Ready
from app.services.recognition.vocabularies import from_text
from app.services.signs.choice import MAX_READ
from app.services.signs.reading import from_text as sets_from_text

PATH = "/socket.io"
#: Unprocessed events of one client; while there are this many, nothing more is read from its connection.
MAX_UNREAD = 8
#: Unsent events to a client before sending waits for it to read.
MAX_UNSENT = 16
#: Base64 is a third larger than the image in it.
MAX_PACKET = 2 * MAX_MESSAGE
#: Binary attachments of one event; an image is one.
MAX_PARTS = 2

#: Packets of one long-polling request: clients send everything they have queued; the library refuses more than 16.
engineio.payload.Payload.max_decode_packets = 64

T = TypeVar("T")


class CurrentSign(BaseModel):
    """One for each frame: the current sign."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    label: str
    """`none` while there is no sign or its score is under 0.50."""
    score: float
    """0 to 1."""


class Status(BaseModel):
    """The service waits for frames."""

    model_config = ConfigDict(extra="forbid")

    message: Literal["ready"] = "ready"


class SocketIODoor:
    """All Socket.IO clients of the application, as an ASGI application to be mounted at PATH. It exists before the
    services do, and finds them through each connection."""

    def __init__(self, settings: Settings) -> None:
        self._clients: dict[str, tuple[_Client, asyncio.Task[None]]] = {}
        quiet = logging.getLogger("glossline.socketio")
        quiet.setLevel(logging.CRITICAL)  # hostile input is answered, not logged line by line
        self._server = _Server(
            async_mode="asgi",
            async_handlers=False,  # frames keep their order
            cors_allowed_origins="*",  # app.api.origins has refused the others before they get here
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            max_http_buffer_size=MAX_PACKET,
            json=bounded_json,
            http_compression=False,
            logger=quiet,
            engineio_logger=quiet,
        )
        self._server.on("connect", self._connected)
        self._server.on("disconnect", self._disconnected)
        self._server.on("*", self._on_event)
        self._app = engineio.ASGIApp(self._server.eio, engineio_path=PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "sid" not in parse_qs(scope.get("query_string", b"").decode("latin-1")):
            try:  # the first request of a connection registers it with the server
                services_of(scope).captions.attempt(client_address(scope))
            except ServiceError as problem:
                services_of(scope).captions.count_refusal(problem)
                refusal = JSONResponse({"code": problem.code, "message": problem.detail}, problem.status)
                if scope["type"] == "http":
                    await refusal(scope, receive, send)
                else:
                    await send({"type": "websocket.close", "code": close_code(problem)})
                return
        await self._app(scope, _readable(receive), send)

    async def close(self) -> None:
        tasks = [task for _, task in self._clients.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.shutdown()

    async def _connected(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        if sid in self._clients:  # a client may send any event, also one that is called 'connect'
            return
        scope = environ["asgi.scope"]
        services, address = services_of(scope), client_address(scope)
        hub, settings = services.captions, _settings_in(scope)
        try:
            hub.check_room()
            principal = await socket_principal(services, socket_credentials(scope, auth), address)
            await hub.check_vocabulary(settings.get("vocabulary"), settings.get("sign_sets", ()), principal)
        except ServiceError as problem:
            hub.count_refusal(problem)
            raise socketio.exceptions.ConnectionRefusedError(
                problem.detail, {"code": problem.code, "close": close_code(problem)}
            ) from None
        if not self._server.has(
            sid
        ):  # it left meanwhile, which the library does not say of clients that are connecting
            raise socketio.exceptions.ConnectionRefusedError("The client is gone.")
        client = _Client(self._server, sid, settings)

        async def who() -> Principal:
            return principal

        # A client of this kind waits for `status` before its first frame, so no `start` is waited for; it still counts.
        talk = Conversation(
            client,
            hub,
            address,
            0,
            LiveSession.answer_every_frame,
            Start(**client.settings),
            who,
            services.access.recheck,
        )
        task = asyncio.create_task(talk.run(), name=f"socketio-{sid}")
        self._clients[sid] = client, task
        task.add_done_callback(lambda _: self._clients.pop(sid, None))

    async def _on_event(self, event: str, sid: str, *content: object) -> None:
        known = self._clients.get(sid)
        if known is not None:
            await known[0].put(event, content)

    async def _disconnected(self, sid: str, reason: str) -> None:
        known = self._clients.get(sid)
        if known is not None:
            known[0].hang_up(clean=reason == self._server.reason.CLIENT_DISCONNECT)


class _EngineServer(engineio.AsyncServer):
    """engineio's server, which answers a request to a session that has just ended instead of raising KeyError."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> Any:
        try:
            return await super().handle_request(scope, receive, send)
        except KeyError as ended:
            if scope["type"] != "http":
                raise
            refusal = JSONResponse(f"Invalid session: {ended.args[0]}", 400)  # as it does for unknown sessions
            await refusal(scope, receive, send)


class _Server(socketio.AsyncServer):
    """python-socketio's server, which ends the connection of a client whose packets are broken."""

    def _engineio_server_class(self) -> type[engineio.AsyncServer]:
        return _EngineServer

    async def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
            waiting = self._binary_packet.get(eio_sid)
            if waiting is not None and waiting.attachment_count > MAX_PARTS:
                raise ValueError("too many binary parts")
        except Exception:  # noqa: BLE001 - the library raises whatever a broken packet makes of its parser
            self._binary_packet.pop(eio_sid, None)
            await self.hang_up(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and reason == self.reason.CLIENT_DISCONNECT:
            socket.queue.put_nowait(None)  # answers the client's poll, for which it waits before it closes

    def has(self, sid: str) -> bool:
        """Whether a client that is connected or connecting has not left."""
        return bool(self.manager.eio_sid_from_sid(sid, "/") in self.environ)

    async def hang_up(self, eio_sid: str) -> None:
        """Close a connection without waiting for its client to read, as the library would."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            await socket.close(wait=False)
            socket.queue.put_nowait(None)  # ends the task that writes, and with it the WebSocket


class _Client:
    """One client: a Door of the conversation."""

    def __init__(self, server: _Server, sid: str, settings: dict[str, Any]) -> None:
        """settings: fields of `start` that hold unless the client sends others."""
        self._server, self._sid, self.settings = server, sid, settings
        self._unread: asyncio.Queue[tuple[str, tuple[object, ...]]] = asyncio.Queue(MAX_UNREAD)
        self._gone: asyncio.Future[ClientDisconnected] = asyncio.get_running_loop().create_future()

    async def put(self, event: str, content: tuple[object, ...]) -> None:
        with contextlib.suppress(ClientDisconnected):
            await self._unless_gone(self._unread.put((event, content)))

    def hang_up(self, clean: bool) -> None:
        if not self._gone.done():
            self._gone.set_result(ClientDisconnected(clean))

    async def receive(self) -> Command:
        return _command(*await self._unless_gone(self._unread.get()), self.settings)

    async def _unless_gone(self, what: Coroutine[Any, Any, T]) -> T:
        """The result. Raises ClientDisconnected as soon as the client is gone."""
        waiting = asyncio.create_task(what)
        either: list[asyncio.Future[Any]] = [waiting, self._gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise self._gone.result()
        finally:
            waiting.cancel()

    async def send(self, event: Event) -> None:
        if isinstance(event, Prediction):
            await self._emit("prediction", CurrentSign(label=event.label, score=event.score).model_dump())
            return
        await self._emit("caption", event.model_dump(mode="json"))
        if isinstance(event, Ready):
            await self._emit("status", Status().model_dump())

    async def close(self, problem: ServiceError | None) -> None:
        if self._gone.done():
            return
        eio_sid = self._eio_sid
        await self._server.disconnect(self._sid)
        await self._server.hang_up(eio_sid)

    @property
    def _eio_sid(self) -> str:
        sid: str = self._server.manager.eio_sid_from_sid(self._sid, "/")
        return sid

    async def _emit(self, event: str, content: dict[str, Any]) -> None:
        """Returns when all but a few events were sent: the library's own queue is unbounded."""
        if self._gone.done():
            raise self._gone.result()
        await self._server.emit(event, content, to=self._sid)
        socket = self._server.eio.sockets.get(self._eio_sid)
        if socket is None:
            raise ClientDisconnected(clean=False)
        if socket.queue.qsize() > MAX_UNSENT:
            await self._unless_gone(socket.queue.join())


def _settings_in(scope: Scope) -> dict[str, Any]:
    """Fields of `start` in the query of a connection."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    given: dict[str, Any] = {"vocabulary": from_text(query["vocabulary"][-1])} if "vocabulary" in query else {}
    if "sign_sets" in query:
        given["sign_sets"] = sets_from_text(query["sign_sets"][-1])[: MAX_READ + 1]
    return given


def _command(event: str, content: tuple[object, ...], settings: Mapping[str, Any]) -> Command:
    """An event of the client as a command; settings: what a `start` need not say. Raises ServiceError."""
    if event == "message" and len(content) == 1 and isinstance(content[0], bytes):
        return parse_binary(content[0])
    given = content[0] if content else {}
    if not isinstance(given, dict):
        raise MalformedMessage(f"'{str(event)[:40]}' takes one object, such as {{image: ...}}.")
    return parse_object({**(settings if event == "start" else {}), **given, "type": event})


def _readable(receive: Receive) -> Receive:
    """The messages up to one that is not a packet: on those the library's reader stops without cleaning up."""

    async def checked() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and message.get("text") is not None:
            try:
                engineio.packet.Packet(encoded_packet=message["text"])
            except Exception:  # noqa: BLE001 - whatever a broken packet makes of its parser
                return {"type": "websocket.disconnect", "code": Close.INVALID}
        return message

    return checked
