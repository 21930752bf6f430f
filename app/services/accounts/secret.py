"""The secret of the service: from AUTH_SECRET or a file of its own, and what is derived from it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from app.core.settings import Settings, SettingsError

FILE = "auth_secret"


class Secret:
    """Keys for different uses, so that what is made for one is worth nothing for another."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def of(cls, settings: Settings) -> Secret:
        """AUTH_SECRET, or a random one that is kept in DATA_DIR, readable for the account of the service alone. Raises
        SettingsError when that cannot be written."""
        if settings.auth_secret is not None:
            return cls(settings.auth_secret.get_secret_value().encode())
        try:
            return cls(_kept(settings.data_dir / FILE))
        except OSError as problem:
            raise SettingsError(
                f"DATA_DIR={str(settings.data_dir)!r}: the secret of the accounts cannot be kept there "
                f"({problem.strerror or problem}). Set AUTH_SECRET, or DATA_DIR to a folder that can be written."
            ) from problem

    def key(self, use: str) -> bytes:
        """32 bytes for this use."""
        return hmac.digest(self._value, f"glossline/{use}".encode(), hashlib.sha256)

    def digest(self, use: str, text: str) -> bytes:
        """HMAC-SHA256: what is stored of keys, tickets and links, so that the database alone opens nothing."""
        return hmac.digest(self.key(use), text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _kept(path: Path) -> bytes:
    """The content of the file; made with a random one if it is missing. Several processes agree on one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(own, path)  # fails if another process was first, whose secret then counts
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_bytes()
