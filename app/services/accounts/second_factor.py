"""The second factor: codes of an authenticator (TOTP), each good for one sign-in."""

from __future__ import annotations

import time

import pyotp
import segno

STEP_S = 30
#: Steps before and after the current one that count too: clocks differ.
NEAR = 1


def new_secret() -> str:
    return pyotp.random_base32()


def address(secret: str, email: str) -> str:
    """The otpauth:// address that an authenticator reads, usually from a QR code."""
    uri: str = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Glossline")
    return uri


def qr_code(uri: str) -> str:
    """The address as a QR code: a data: URL of an SVG image, black on white."""
    url: str = segno.make(uri, micro=False).svg_data_uri(scale=4, light="#fff", border=4)
    return url


def step_of(secret: str, code: str, last: int | None, now: float | None = None) -> int | None:
    """The time step that this code belongs to; None if it is wrong, or not newer than `last`, the last one used."""
    current = int((time.time() if now is None else now) // STEP_S)
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(current - NEAR, current + NEAR + 1):  # all of them, whichever fits
        if pyotp.utils.strings_equal(code, totp.generate_otp(step)) and (last is None or step > last):
            found = step
    return found
