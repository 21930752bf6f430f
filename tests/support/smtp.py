"""A mail server of the test's own: it takes every mail by SMTP (RFC 5321) and keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast


@dataclass
class Mailbox:
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: bool = False
    """Answer every recipient with 550."""
    sign_ins: list[str] = field(default_factory=list)
    """What was sent with AUTH, and `plain` before those that came without TLS."""


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None, how: str = "none") -> AsyncIterator[Mailbox]:
    """how: `tls` from the first byte, `starttls`, or `none`."""
    box = Mailbox()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        secure = how == "tls"
        say("220 test ESMTP")
        while line := (await reader.readline()).decode().strip():
            match line.partition(" ")[0].upper():
                case "EHLO" | "HELO":
                    say("250-test")
                    if how == "starttls" and not secure:
                        say("250-STARTTLS")
                    say("250 AUTH PLAIN")
                case "STARTTLS" if how == "starttls" and tls is not None:
                    say("220 go on")
                    await writer.drain()
                    await writer.start_tls(tls)
                    secure = True
                case "AUTH":
                    box.sign_ins.append(line if secure else f"plain {line}")
                    say("235 welcome")
                case "RCPT" if box.refuses:
                    say("550 no such mailbox")
                case "RCPT":
                    box.recipients.append(line.partition("<")[2].partition(">")[0])
                    say("250 OK")
                case "DATA":
                    say("354 go on")
                    content = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                    box.mails.append(cast(EmailMessage, message_from_bytes(content, policy=policy.default)))
                    say("250 OK")
                    box.arrived.set()
                case "QUIT":
                    say("221 bye")
                    break
                case _:
                    say("250 OK")
        writer.close()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await session(reader, writer)

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls if how == "tls" else None)
    async with server:
        box.port = server.sockets[0].getsockname()[1]
        yield box
