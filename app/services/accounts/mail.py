"""Mail: the link of a password reset, by SMTP or, without a mail server, into the log."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from email.message import EmailMessage
from typing import Any

import aiosmtplib
from loguru import logger

from app.core.settings import Settings

#: Seconds for a mail to be accepted by the server.
TIMEOUT_S = 20.0
#: Mails on their way at once; more are dropped, with a line in the log.
MOST = 64


class Mailer:
    """Mails are sent beside the request, so that its time does not tell whether one was sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def by_mail(self) -> bool:
        """False: links are written to the log."""
        return self._settings.smtp_host is not None

    async def close(self) -> None:
        """Wait for the mails that are on their way."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    def reset(self, to: str, token: str) -> None:
        """Send the link with which this account gets another password. Returns at once."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        base = settings.public_url or f"http://{host}:{settings.port}"
        link = f"{base}/account#reset={token}"  # after #: it stands in no log of a server
        if not self.by_mail:
            logger.bind(unredacted=True).warning(
                "password reset, in place of a mail, because SMTP_HOST is unset: {}", link
            )
            return
        minutes = settings.password_reset_minutes
        self._send(
            to,
            "Your Glossline password",
            f"Somebody, hopefully you, asked for a new password for this address.\n\nSet it here: {link}\n\n"
            f"The link works once, within {minutes:g} minutes. If it was not you, do nothing: your password stays.\n",
        )

    def _send(self, to: str, subject: str, text: str) -> None:
        if len(self._sending) >= MOST:
            logger.error("{} mails are waiting for the mail server; another one is dropped", MOST)
            return
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._settings.smtp_from, to, subject
        message.set_content(text)
        self._start(self._deliver(message))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="mail")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, message: EmailMessage) -> None:
        settings = self._settings
        password = settings.smtp_password.get_secret_value() if settings.smtp_password is not None else None
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_user,
                password=password,
                use_tls=settings.smtp_tls == "tls",
                start_tls=settings.smtp_tls == "starttls",  # a server that does not offer it gets nothing
                cert_bundle=None if settings.smtp_ca is None else str(settings.smtp_ca),
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as problem:
            logger.error(
                "a mail could not be sent by {}:{} ({}: {}); check the settings SMTP_*",
                settings.smtp_host,
                settings.smtp_port,
                type(problem).__name__,
                problem,
            )
