"""Reading request bodies: one file of a multipart form streamed to disk, or JSON; never more than the limits allow."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.core.errors import EmptyFile, MalformedRequest, UnsupportedMediaType, UploadTimeout, UploadTooLarge
from app.core.limits import ConcurrencyLimit
from app.core.network import address_key
from app.core.settings import Settings
from app.core.temp_files import temporary_file

_FLUSH_BYTES = 1 << 20
_MAX_PARTS = 16
#: An upload is not judged slow before this age; one that gives way has LEAVE_S to do so.
SETTLE_S, LEAVE_S = 2.0, 2.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that lies on disk while the `receive_file` block lasts. `filename` is the client's word, untrusted."""

    path: Path
    filename: str
    size: int


@dataclass(slots=True)
class _Form:
    """Callbacks of the multipart parser: keeps the bytes of the part called `wanted`, forgets all others."""

    wanted: str
    pending: bytearray = field(default_factory=bytearray)
    filename: str | None = None
    parts: int = 0
    finished: bool = False
    _taking: bool = False
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def on_part_begin(self) -> None:
        self.parts += 1
        if self.parts > _MAX_PARTS:
            raise MalformedRequest(f"The form has more than {_MAX_PARTS} parts. Send one field 'file'.")
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name", b"").decode("utf-8", "replace") != self.wanted:
            return
        if self.filename is not None:
            raise MalformedRequest(f"The form holds more than one '{self.wanted}'. Send one file per request.")
        self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
        self._taking = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._taking:
            self.pending += data[start:end]

    def on_part_end(self) -> None:
        self._taking = False

    def on_end(self) -> None:
        self.finished = True


class IncomingBody:
    """The body of a request that holds a place among the uploads, while it comes in."""

    def __init__(self, request: Request, settings: Settings) -> None:
        self.request = request
        self.address = address_key(request.client.host) if request.client is not None else ""
        self.began = time.monotonic()
        self.received = 0
        """Bytes so far."""
        self.complete = False
        self.gave_way = False
        self.left = asyncio.Event()
        """Set when the request has given its place back."""
        self._settings = settings
        self._waiting: asyncio.Timeout | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.began

    @property
    def kb_s(self) -> float:
        """Average rate so far, in KiB per second."""
        return self.received / 1024 / max(self.age_s, 1e-3)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises UploadTimeout, ClientDisconnect."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.upload_timeout_s
        stream = self.request.stream().__aiter__()
        while not self.gave_way:
            try:
                at = min(deadline, loop.time() + self._settings.upload_idle_timeout_s)
                async with asyncio.timeout_at(at) as self._waiting:
                    piece = await anext(stream)
            except StopAsyncIteration:
                self.complete = True
                return
            except TimeoutError:
                raise self._timeout(loop.time() >= deadline) from None
            finally:
                self._waiting = None
            self.received += len(piece)
            yield piece
        raise self._timeout(False)

    def give_way(self) -> None:
        """End the upload with UploadTimeout: others need its place."""
        self.gave_way = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def _timeout(self, deadline: bool) -> UploadTimeout:
        if self.gave_way:
            what = f"The upload came at {self.kb_s:.1f} KiB per second, and other requests needed its place."
        elif deadline:
            what = f"The upload was not complete after {self._settings.upload_timeout_s:g} seconds."
        else:
            what = f"Nothing arrived for {self._settings.upload_idle_timeout_s:g} seconds."
        return UploadTimeout(f"{what} Send the file again over a better connection.", headers={"Connection": "close"})


class UploadPlaces:
    """The places of recognition requests, MAX_CONCURRENT_REQUESTS, held while the body comes in and is worked on.

    Where all are taken, an upload that is slower than UPLOAD_MIN_KB_S, or one of an address that holds more than a
    quarter of the places, gives way to a newcomer. Not thread-safe; use from one event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = ConcurrencyLimit(settings.max_concurrent_requests, "uploads")
        self._bodies: set[IncomingBody] = set()

    @contextlib.asynccontextmanager
    async def enter(self, request: Request) -> AsyncIterator[IncomingBody]:
        """Hold one place. Raises Busy when there is none."""
        if self._places.full:
            await self._make_room()
        with self._places.enter():
            body = IncomingBody(request, self._settings)
            self._bodies.add(body)
            try:
                yield body
            finally:
                self._bodies.discard(body)
                body.left.set()

    async def _make_room(self) -> None:
        incoming = [body for body in self._bodies if not body.complete]
        by_address = Counter(body.address for body in incoming)
        slow = [
            body
            for body in incoming
            if not body.gave_way
            and body.age_s > SETTLE_S
            and (body.kb_s < self._settings.upload_min_kb_s or by_address[body.address] > self._places.limit / 4)
        ]
        if not slow:
            return
        victim = max(slow, key=lambda body: (by_address[body.address], -body.kb_s))
        victim.give_way()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await victim.left.wait()


@contextlib.asynccontextmanager
async def receive_file(body: IncomingBody, field_name: str = "file") -> AsyncIterator[Upload]:
    """Stream the multipart field `field_name` into a temporary file, gone when the block ends, however it ends.

    Raises UnsupportedMediaType, MalformedRequest, EmptyFile, UploadTimeout; the size is bounded by BodyLimit.
    """
    boundary = _boundary(body.request, field_name)
    async with temporary_file() as path:
        with path.open("wb") as file:
            filename, size = await _stream_into(file, body, boundary, field_name)
        yield Upload(path, filename, size)


def _boundary(request: Request, field_name: str) -> bytes:
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data":
        given = content_type.decode("latin-1") or "not named"
        raise UnsupportedMediaType(
            f"The content type of the body is {given[:80]}. Send multipart/form-data with the file in the field "
            f"'{field_name}', for example: curl -F {field_name}=@clip.mp4"
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise MalformedRequest
    return boundary


async def _stream_into(file: IO[bytes], body: IncomingBody, boundary: bytes, field_name: str) -> tuple[str, int]:
    form = _Form(field_name)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.on_part_begin,
            "on_header_field": form.on_header_field,
            "on_header_value": form.on_header_value,
            "on_header_end": form.on_header_end,
            "on_headers_finished": form.on_headers_finished,
            "on_part_data": form.on_part_data,
            "on_part_end": form.on_part_end,
            "on_end": form.on_end,
        },
    )
    size = 0
    try:
        async for piece in body.chunks():
            parser.write(piece)
            if len(form.pending) >= _FLUSH_BYTES:
                size += await _flush(file, form)
        parser.finalize()
    except FormParserError as problem:
        raise MalformedRequest(
            "The body is not valid multipart/form-data. Send the file as form field 'file'."
        ) from problem
    if not form.finished:
        raise MalformedRequest("The form breaks off before its end: the upload was cut short. Send it again.")
    size += await _flush(file, form)
    if form.filename is None:
        raise MalformedRequest(
            f"The form has no field '{field_name}'. Send, for example: curl -F {field_name}=@clip.mp4"
        )
    if size == 0:
        raise EmptyFile
    return form.filename, size


async def _flush(file: IO[bytes], form: _Form) -> int:
    """Write what is pending, off the event loop: a disk may stall."""
    pending, form.pending = bytes(form.pending), bytearray()
    await asyncio.to_thread(file.write, pending)
    return len(pending)


async def receive_body(incoming: IncomingBody, limit: int, instead: str) -> bytearray:
    """The whole body in memory. limit: its largest size in bytes; instead: what to send in place of a larger one.

    Raises UploadTooLarge, UploadTimeout, ClientDisconnect.
    """
    body = bytearray()
    announced = int(incoming.request.headers.get("content-length", 0))  # a number: BodyLimit has checked it
    async for piece in incoming.chunks():
        body += piece
        if max(len(body), announced) > limit:
            raise UploadTooLarge(
                f"The JSON body is larger than {limit / (1 << 20):g} MiB, the limit of this route. {instead}",
                headers={"Connection": "close"},
            )
    return body
