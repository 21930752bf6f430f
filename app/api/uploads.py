"""Reading request bodies: one file of a multipart form streamed to disk, or JSON; never more than the limits allow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.core.errors import (
    Busy,
    EmptyFile,
    MalformedRequest,
    UnknownVocabulary,
    UnsupportedMediaType,
    UploadTimeout,
    UploadTooLarge,
)
from app.core.limits import Place, Places
from app.core.settings import Settings
from app.core.temp_files import temporary_file

#: Bytes of another field that a route asks for, and how often it may come.
MAX_OTHER, MAX_SAME = 1024, 4
#: Form fields: the file, and the vocabulary to read it with.
FIELD, VOCABULARY = "file", "vocabulary"
#: Bytes of the second.
MAX_VOCABULARY = 1 << 18
_FLUSH_BYTES = 1 << 20
_MAX_PARTS = 16
#: Bytes of request bodies held in memory (JSON), of all requests together; parsing takes about as much again.
MAX_IN_MEMORY = 256 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on disk for the duration of the `receive_file` block."""

    path: Path
    """Where it is."""
    filename: str
    """Its name as given by the client, untrusted."""
    vocabulary: str | None
    """The form field VOCABULARY, if there is one."""
    others: Mapping[str, list[str]] = field(default_factory=dict)
    """Form fields that the route asked for, with their values in order."""


@dataclass(slots=True)
class _Form:
    """Callbacks of the multipart parser: keeps the bytes of the parts called FIELD and VOCABULARY and of those asked
    for, discards all others."""

    asked: Collection[str] = ()
    others: dict[str, list[bytearray]] = field(default_factory=dict)
    pending: bytearray = field(default_factory=bytearray)
    filename: str | None = None
    vocabulary: bytearray | None = None
    parts: int = 0
    finished: bool = False
    _taking: bytearray | None = None
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
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == FIELD:
            if self.filename is not None:
                raise MalformedRequest(f"The form holds more than one '{FIELD}'. Send one file per request.")
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self._taking = self.pending
        elif name == VOCABULARY:
            if self.vocabulary is not None:
                raise MalformedRequest(f"The form holds more than one '{VOCABULARY}'. Separate glosses by commas.")
            self._taking = self.vocabulary = bytearray()
        elif name in self.asked:
            values = self.others.setdefault(name, [])
            if len(values) >= MAX_SAME:
                raise MalformedRequest(f"The form holds '{name}' more than {MAX_SAME} times.")
            self._taking = bytearray()
            values.append(self._taking)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._taking is None:
            return
        self._taking += data[start:end]
        if self._taking is self.vocabulary and len(self._taking) > MAX_VOCABULARY:
            raise UnknownVocabulary(f"The form field '{VOCABULARY}' is larger than {MAX_VOCABULARY >> 10} KiB.")
        if self._taking is not self.vocabulary and self._taking is not self.pending and len(self._taking) > MAX_OTHER:
            raise MalformedRequest(f"A form field other than the file is larger than {MAX_OTHER} bytes.")

    def on_part_end(self) -> None:
        self._taking = None

    def on_end(self) -> None:
        self.finished = True


class IncomingBody:
    """The body of a request that holds an upload place, while it is received."""

    def __init__(
        self, request: Request, place: Place, uploads: Uploads, settings: Settings, limit: int | None = None
    ) -> None:
        """limit: bytes that the client's plan allows; the service's own limit holds anyway."""
        self.request, self._limit = request, limit
        self._place, self._uploads, self._settings = place, uploads, settings

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises UploadTimeout, UploadTooLarge, ClientDisconnect."""
        announced = int(self.request.headers.get("content-length", 0))  # a number: BodyLimit has checked it
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.upload_timeout_s
        stream = self.request.stream().__aiter__()
        while True:
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + self._settings.upload_idle_timeout_s)):
                    piece = await anext(stream)
            except StopAsyncIteration:
                self._place.settled = True
                return
            except TimeoutError:
                if loop.time() >= deadline:
                    what = f"The upload was not complete after {self._settings.upload_timeout_s:g} seconds."
                else:
                    what = f"Nothing arrived for {self._settings.upload_idle_timeout_s:g} seconds."
                raise _timeout(what) from None
            self._place.received += len(piece)
            if self._limit is not None and max(self._place.received, announced) > self._limit:
                raise UploadTooLarge(
                    f"The body is larger than {self._limit / (1 << 20):g} MiB, the limit of your plan. Send a shorter "
                    "or smaller video, or choose a larger plan (GET /api/billing/plans).",
                    headers={"Connection": "close"},
                )
            yield piece

    def keep(self, count: int) -> None:
        """Count `count` bytes that are held in memory until the request ends. Raises Busy when there is no room."""
        self._place.in_memory += count
        self._uploads.check_memory(self._place)


def _timeout(what: str) -> UploadTimeout:
    return UploadTimeout(f"{what} Send the file again over a better connection.", headers={"Connection": "close"})


def _gave_way(place: Place) -> UploadTimeout:
    return _timeout(f"The upload came at {place.kb_s:.1f} KiB per second, and other requests needed its place.")


class Uploads:
    """The places of recognition requests, MAX_CONCURRENT_REQUESTS, held while the body is received and processed, and
    the memory for bodies that are not written to disk, MAX_IN_MEMORY. A slow upload (UPLOAD_MIN_KB_S) makes way for a
    new request, and so does one of an address that holds much."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = Places(settings.max_concurrent_requests, "uploads", _gave_way, settings.upload_min_kb_s)

    @contextlib.asynccontextmanager
    async def enter(self, request: Request, limit: int | None = None) -> AsyncIterator[IncomingBody]:
        """Hold one place. limit: as for IncomingBody. Raises Busy when none is free, UploadTimeout when others need the
        place."""
        async with self._places.hold(request.client.host if request.client is not None else None) as place:
            yield IncomingBody(request, place, self, self._settings, limit)

    def check_memory(self, asking: Place) -> None:
        """Raises Busy when the bodies in memory, that of `asking` included, are more than it may hold."""
        if self._in_memory > MAX_IN_MEMORY:
            others = self._places.taken - {asking}
            self._places.make_room({place: place.in_memory / MAX_IN_MEMORY for place in others if place.in_memory})
        if self._in_memory > MAX_IN_MEMORY:
            raise Busy(
                f"Requests with {MAX_IN_MEMORY >> 20} MiB of JSON are being received or worked on already, as many as "
                "this service holds in memory. Try again in 2 seconds (header Retry-After), or send a file.",
                headers={"Connection": "close"},
            )

    @property
    def _in_memory(self) -> int:
        return sum(place.in_memory for place in self._places.taken)


@contextlib.asynccontextmanager
async def receive_file(body: IncomingBody, asked: Collection[str] = ()) -> AsyncIterator[Upload]:
    """Stream the multipart field FIELD into a temporary file, gone when the block ends, however it ends. asked: names
    of other fields to keep, each of at most MAX_OTHER bytes. Raises UnsupportedMediaType, MalformedRequest,
    UnknownVocabulary, EmptyFile, UploadTimeout; the size is bounded by BodyLimit."""
    boundary = _boundary(body.request)
    async with temporary_file() as path:
        with path.open("wb") as file:
            form = await _stream_into(file, body, boundary, asked)
        vocabulary = None if form.vocabulary is None else form.vocabulary.decode("utf-8", "replace")
        others = {name: [v.decode("utf-8", "replace") for v in values] for name, values in form.others.items()}
        yield Upload(path, form.filename or "", vocabulary, others)


def check_form(request: Request) -> None:
    """Raises UnsupportedMediaType or MalformedRequest unless the request announces a multipart form."""
    _boundary(request)


def _boundary(request: Request) -> bytes:
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data":
        given = content_type.decode("latin-1") or "not named"
        raise UnsupportedMediaType(
            f"The content type of the body is {given[:80]}. Send multipart/form-data with the file in the field "
            f"'{FIELD}', for example: curl -F {FIELD}=@clip.mp4"
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise MalformedRequest
    return boundary


async def _stream_into(file: IO[bytes], body: IncomingBody, boundary: bytes, asked: Collection[str]) -> _Form:
    """Write the file of the form; returns the rest of it."""
    form = _Form(asked)
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
        raise MalformedRequest("The form is incomplete: the upload was cut short. Send it again.")
    size += await _flush(file, form)
    if form.filename is None:
        raise MalformedRequest(f"The form has no field '{FIELD}'. Send, for example: curl -F {FIELD}=@clip.mp4")
    if size == 0:
        raise EmptyFile
    return form


async def _flush(file: IO[bytes], form: _Form) -> int:
    """Write what is pending, off the event loop, because the disk may block."""
    pending = bytes(form.pending)
    form.pending.clear()  # the parser goes on filling it
    await asyncio.to_thread(file.write, pending)
    return len(pending)


async def receive_body(incoming: IncomingBody, limit: int, instead: str) -> bytearray:
    """The whole body in memory. limit: its largest size in bytes; instead: what to send in place of a larger one.
    Raises UploadTooLarge, Busy, UploadTimeout, ClientDisconnect."""
    body = bytearray()
    announced = int(incoming.request.headers.get("content-length", 0))  # a number: BodyLimit has checked it
    async for piece in incoming.chunks():
        body += piece
        if max(len(body), announced) > limit:
            raise UploadTooLarge(
                f"The JSON body is larger than {limit / (1 << 20):g} MiB, the limit of this route. {instead}",
                headers={"Connection": "close"},
            )
        incoming.keep(len(piece))
    return body
