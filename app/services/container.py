"""The services behind the routes and transports. `app.main` builds them from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.limits import ConcurrencyLimit
from app.core.settings import Settings
from app.db.database import Database
from app.monitoring.metrics import Metrics
from app.services.accounts.access import Access
from app.services.accounts.keys import Keys
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.service import Accounts
from app.services.billing.credits import Credits
from app.services.billing.stripe_billing import StripeBilling
from app.services.captions.hub import LiveHub
from app.services.history.service import History
from app.services.performing.service import PerformingService
from app.services.recognition.active_checkpoint import ActiveCheckpoint
from app.services.recognition.model_host import ModelHost
from app.services.recognition.service import ClipService
from app.services.signs.corpus import Corpora
from app.services.signs.service import SignSets
from app.services.speech.live.hub import SpeechHub
from app.services.speech.own_voices import OwnVoices
from app.services.speech.service import SpeechService
from app.services.training_jobs.service import TrainingJobs


@dataclass(frozen=True, slots=True)
class Services:
    """One per application, complete from its first request to its last. Each part may use those above it."""

    settings: Settings
    metrics: Metrics
    database: Database | None
    """None if nothing needs one (`Settings.uses_database`); the other optional parts are then None too."""
    rate_limits: RateLimits
    accounts: Accounts | None
    keys: Keys | None
    access: Access
    """Tells every door who asks."""
    credits: Credits
    """What is used, and what it costs; where nothing is charged, everything is free."""
    stripe: StripeBilling | None
    """None without STRIPE_SECRET_KEY."""
    history: History | None
    """Captions that accounts keep."""
    sign_sets: SignSets | None
    """Signs that people teach."""
    corpora: Corpora | None
    """Recordings that people give for training."""
    host: ModelHost
    clips: ClipService
    captions: LiveHub
    speech: SpeechService
    performing: PerformingService
    own_voices: OwnVoices | None
    """Samples of people's voices."""
    live_speech: SpeechHub
    checkpoint: ActiveCheckpoint | None
    training: TrainingJobs | None
    followers: ConcurrencyLimit
    """Connections that follow the log of a training job."""
