"""What the routes of recordings given for training accept and answer."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.services.signs.consent import TEXT, VERSION
from app.services.signs.corpus import Consent


class _Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class NewConsent(BaseModel):
    """To give the recordings of a set for training."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    version: str = Field(min_length=1, max_length=20, examples=[VERSION])
    """Of the text that was read, as GET /api/signs/corpus has it."""
    signed_by: str = Field("", max_length=640)
    """Where there are no accounts: who signs in this set, by any name, so that recordings of one person stay in one
    split. It is not written into the corpus. With an account, leave it out."""


class ConsentInfo(_Schema):
    """A set that was given."""

    set_id: UUID | None
    """null: the set was deleted, and everything of it with it."""
    set_name: str | None
    sign_language: str | None
    signer: str
    """What the corpus calls the person."""
    text_version: str
    given_at: datetime
    revoked_at: datetime | None
    """null: it still holds."""
    recordings: int
    """That are in the corpus."""
    without_landmarks: int
    """Recordings of the set that are not in it, because their landmarks were not kept when they were made."""

    @classmethod
    def of(cls, consent: Consent) -> ConsentInfo:
        row = consent.row
        return cls(
            set_id=row.set_id,
            set_name=consent.set_name,
            sign_language=consent.sign_language,
            signer=consent.signer,
            text_version=row.text_version,
            given_at=row.given_at,
            revoked_at=row.revoked_at,
            recordings=consent.given,
            without_landmarks=consent.without_landmarks,
        )


class CorpusInfo(_Schema):
    """What giving means, and what one has given."""

    version: str = VERSION
    """Of the text."""
    text: dict[str, dict[str, str]] = TEXT
    """Language -> heading -> paragraph."""
    consents: list[ConsentInfo]
    """One's own, those taken back included, the newest first."""
