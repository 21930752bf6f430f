"""Passwords: which are accepted, and their Argon2id hashes, made in few threads beside the event loop."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from app.core.errors import WeakPassword
from app.core.limits import ConcurrencyLimit

T = TypeVar("T")

#: Characters of a password.
SHORTEST, LONGEST = 10, 256
_DIFFERENT = 5
#: Hashes made at once; each holds 64 MiB for a tenth of a second.
THREADS = 2
#: Hashes made and waiting; more are refused with Busy.
WAITING = 32
#: The most common passwords of at least SHORTEST characters in lists of stolen ones.
_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").split())


class Passwords:
    """Hashes and checks. Methods raise Busy when too many are waiting."""

    def __init__(self) -> None:
        self._hashes = PasswordHash((Argon2Hasher(),))
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._limit = ConcurrencyLimit(WAITING, "password checks")
        # Of a password that nobody has, with the parameters of all others.
        self._of_nobody = self._hashes.hash(secrets.token_bytes(16))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def hash(self, password: str) -> str:
        with self._limit.enter():
            return await self._in_thread(self._hashes.hash, _bytes(password))

    async def matches(self, password: str, known: str | None) -> tuple[bool, str | None]:
        """Whether it is the password of this hash, and a new hash where the old one has weaker parameters. None is
        nobody's: the answer takes as long, so that its time does not tell who has an account."""
        with self._limit.enter():
            matches, better = await self._in_thread(self._check, _bytes(password), known or self._of_nobody)
            return (False, None) if known is None else (matches, better)

    def _check(self, password: bytes, known: str) -> tuple[bool, str | None]:
        try:
            return self._hashes.verify_and_update(password, known)
        except UnknownHashError:
            return False, None

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def check_strength(password: str, email: str) -> None:
    """Raises WeakPassword. Length is what counts; characters of certain kinds are not asked for."""
    advice = "Use a few words that do not belong together."
    if len(password) < SHORTEST:
        raise WeakPassword(f"The password has {len(password)} characters; at least {SHORTEST} are needed. {advice}")
    if len(password) > LONGEST:
        raise WeakPassword(f"The password has more than {LONGEST} characters, the limit.")
    plain = unicodedata.normalize("NFKC", password).casefold()
    if len(set(plain)) < _DIFFERENT:
        raise WeakPassword(f"The password repeats fewer than {_DIFFERENT} different characters. {advice}")
    if plain in _COMMON:
        raise WeakPassword(f"The password is one of the most common ones. {advice}")
    mailbox = email.partition("@")[0]
    if plain == email or (len(mailbox) >= 4 and plain.startswith(mailbox) and len(plain) - len(mailbox) < 6):
        raise WeakPassword(f"The password follows from the e-mail address. {advice}")


def _bytes(password: str) -> bytes:
    """The same for a letter and its accent, however a keyboard composes them."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
