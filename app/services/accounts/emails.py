"""E-mail addresses: which texts are one, and the spelling under which an account is kept."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from app.core.errors import InvalidEmail


def normalised(text: str) -> str:
    """One spelling for all that reach the same mailbox at every usual server: Unicode in NFC, lower case. Whether
    mail arrives is not looked up. Raises InvalidEmail."""
    try:
        return validate_email(text, check_deliverability=False, strict=True).normalized.lower()
    except (EmailNotValidError, UnicodeError) as problem:
        why = str(problem) if isinstance(problem, EmailNotValidError) else "It is not text."
        raise InvalidEmail(f"The e-mail address is not valid: {why} Write it as name@example.org.") from None
