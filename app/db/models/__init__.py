"""The tables, by subject. All of them are imported here, so that `Base.metadata` is complete."""

from app.db.models.accounts import ApiKey, PasswordReset, RefreshToken, Ticket, User
from app.db.models.base import Base
from app.db.models.corpus import Corpus, CorpusConsent, CorpusSigner
from app.db.models.credits import Idempotency, LedgerEntry, ReservationRow, StripeEvent, Subscription
from app.db.models.history import CaptionLine, CaptionSession
from app.db.models.recognition import CheckpointChoice
from app.db.models.signs import SignRecording, SignSet, TaughtSignRow
from app.db.models.training import TrainingJob
from app.db.models.voices import OwnVoice

__all__ = [
    "ApiKey",
    "Base",
    "CaptionLine",
    "CaptionSession",
    "CheckpointChoice",
    "Corpus",
    "CorpusConsent",
    "CorpusSigner",
    "Idempotency",
    "LedgerEntry",
    "OwnVoice",
    "PasswordReset",
    "RefreshToken",
    "ReservationRow",
    "SignRecording",
    "SignSet",
    "StripeEvent",
    "Subscription",
    "TaughtSignRow",
    "Ticket",
    "TrainingJob",
    "User",
]
