"""The secret of the service: from AUTH_SECRET or a file of its own, and what is derived from it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.settings import Settings, SettingsError

FILE = "auth_secret"
#: What sealed texts begin with; no other text that is stored in their place does.
SEALED = "v1."
_NONCE = 12


class CannotOpen(Exception):
    """The text was sealed with another AUTH_SECRET or for somebody else, or was changed."""


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

    def seal(self, use: str, text: str, owner: str) -> str:
        """The text encrypted (AES-256-GCM, a key from HKDF), for columns that must be read again; owner: whose it is,
        so that it is worth nothing in the row of somebody else."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher(use).encrypt(nonce, text.encode(), owner.encode())
        return SEALED + base64.urlsafe_b64encode(sealed).decode()

    def open(self, use: str, sealed: str, owner: str) -> str:
        """What was sealed. A text that never was comes back as it is. Raises CannotOpen."""
        if not sealed.startswith(SEALED):
            return sealed
        try:
            content = base64.urlsafe_b64decode(sealed.removeprefix(SEALED))
            return self._cipher(use).decrypt(content[:_NONCE], content[_NONCE:], owner.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error) as problem:
            raise CannotOpen from problem

    def _cipher(self, use: str) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, salt=None, info=f"glossline/{use}".encode()).derive(self._value))


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
