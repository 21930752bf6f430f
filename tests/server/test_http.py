"""What a client may leave unfinished: header bytes, trailers, seconds, half-sent requests, slow uploads."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.server.connections import UNFINISHED_PER_ADDRESS
from app.server.http import MAX_FIELDS, MAX_HEAD
from tests.support.media import npz

pytestmark = pytest.mark.asyncio(loop_scope="session")
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
FORM = (
    b"POST /api/inference/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b'Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
)


async def opened(host: str, data: bytes = b"") -> Stream:
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(data)
    await writer.drain()
    return reader, writer


async def flood(host: str, first: bytes, block: bytes, limit: int = 64 << 20) -> tuple[int, bytes]:
    """Bytes sent before the service closed, at most `limit`, and what it answered."""
    reader, writer = await opened(host, first)
    sent = 0
    answer = asyncio.create_task(reader.read())
    try:
        while sent < limit and not answer.done():
            writer.write(block)
            await asyncio.wait_for(writer.drain(), 60)
            sent += len(block)
    except ConnectionError:
        pass
    try:
        return sent, await asyncio.wait_for(answer, 60)
    except ConnectionError:
        return sent, b""
    finally:
        writer.close()


CHUNKED = b"POST /api/inference/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "block"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: %s\r\n" % (b"b" * 50) * 1000),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a" * MAX_HEAD),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a" * MAX_HEAD),
        (b"GET /", b"a" * MAX_HEAD),
        (CHUNKED + b"0\r\n", b"X-A: %s\r\n" % (b"b" * 50) * 1000),
        (CHUNKED + b"5;x=", b"a" * MAX_HEAD),
        (b"", b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000),
    ],
    ids=["headers", "value", "name", "url", "trailers", "chunk-extension", "pipelined"],
)
async def test_what_never_ends_is_refused(host: str, first: bytes, block: bytes) -> None:
    sent, _ = await flood(host, first, block)
    assert sent < 32 << 20


async def test_many_short_headers_are_refused(host: str) -> None:
    head = b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    for fields, status in ((MAX_FIELDS - 2, 200), (MAX_FIELDS - 1, 431)):
        reader, writer = await opened(host, head + b"A: b\r\n" * fields + b"\r\n")
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 %d " % status)
        writer.close()


async def test_long_headers_that_end_are_answered(host: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{host}/api/health/live", headers={"X-Long": "a" * (MAX_HEAD // 2)})
    assert answer.status_code == 200


async def test_headers_in_single_bytes_are_answered_while_they_come_in_time(host: str) -> None:
    reader, writer = await opened(host)
    for byte in b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
        writer.write(bytes([byte]))
        await asyncio.sleep(0.001)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: x\r\nX-", b""])
async def test_a_request_that_stops_in_its_headers_is_closed(host: str, start: bytes) -> None:
    reader, writer = await opened(host, start)
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 408 ") if start else answer == b""
    writer.close()


async def test_half_sent_requests_of_an_address_do_not_keep_others_out(host: str) -> None:
    held = [await opened(host, b"GET / HTTP/1.1\r\nHost: x\r\nX-") for _ in range(UNFINISHED_PER_ADDRESS + 40)]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{host}/api/health/live")).status_code == 200
    ends = [asyncio.create_task(reader.read()) for reader, _ in held[:10]]
    done, _ = await asyncio.wait(ends, timeout=1.5)  # long before their deadline, the oldest are gone
    for task in done:
        assert isinstance(task.exception(), ConnectionError) or task.result() == b""
    assert len(done) == 10
    for _, writer in held:
        writer.close()


async def drip(stream: Stream) -> bytes:
    """A byte each tenth of a second, until there is an answer."""
    reader, writer = stream
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        try:
            writer.write(b"A")
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.wait({answer}, timeout=0.1)
    writer.close()
    return await asyncio.wait_for(answer, 60)


async def test_slow_uploads_give_way_and_have_a_deadline(host: str) -> None:
    dripping = [asyncio.create_task(drip(await opened(host, FORM))) for _ in range(4)]
    await asyncio.sleep(3)
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(f"http://{host}/api/inference/landmarks", files={"file": ("a.npz", npz())})
    assert answer.status_code == 200, answer.text
    answers = [await task for task in dripping]
    assert all(a.startswith(b"HTTP/1.1 408 ") and b'"code":"upload_timeout"' in a for a in answers)
    assert sum(b"other requests needed its place" in a for a in answers) == 1
    assert sum(b"not complete after 6 seconds" in a for a in answers) == 3


async def test_a_refusal_reaches_a_client_that_is_still_sending(host: str) -> None:
    """Closing at once would reset the connection, and what the client, or a proxy, has not read yet would be lost."""
    head = b"POST /api/inference/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    reader, writer = await opened(host, head)
    for _ in range(16):  # the answer is there meanwhile, and is not read
        writer.write(bytes(1 << 20))
        await asyncio.wait_for(writer.drain(), 60)
        await asyncio.sleep(0.02)
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in answer.lower()
    assert b'"code":"upload_too_large"' in answer

    async def send_on() -> None:
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            await asyncio.sleep(0.05)

    with pytest.raises(ConnectionError):  # it does not read for ever
        await asyncio.wait_for(send_on(), 60)
    writer.close()
