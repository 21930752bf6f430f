"""The plans and the price of a second, from one table: plans.toml, or the file that PLANS_FILE names."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.settings import SettingsError

TABLE = Path(__file__).with_name("plans.toml")

#: What credits are spent on: a whole clip, or live captions.
Kind = Literal["clip", "live"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Plan(_Row):
    """What an account with this plan may do."""

    title: str = Field(min_length=1)
    monthly_credits: int = Field(ge=0, le=10**12)
    """Granted on the first of each month (UTC)."""
    concurrent_sessions: int = Field(ge=0)
    """Live sessions at once."""
    upload_mb: float = Field(gt=0)
    """Largest upload, in MiB."""
    minutes_a_day: float = Field(ge=0)
    """Of clips and live captions, since midnight (UTC)."""
    vocabularies: Literal["named", "own"]
    """`named`: those of the recogniser; `own`: lists of glosses too."""
    sign_sets: int = Field(default=3, ge=0)
    """Sets of signs that people teach."""
    signs_a_set: int = Field(default=50, ge=0)
    """Signs in each."""
    corpus_recordings: int = Field(default=1000, ge=0)
    """Recordings that may be given for training."""
    languages: tuple[str, ...]
    """Of the captions."""
    voice: bool
    """Whether captions may be read aloud."""


class Rates(_Row):
    """Credits per second."""

    clip: float = Field(gt=0, le=1000)
    live: float = Field(gt=0, le=1000)


class Plans(_Row):
    """The table."""

    credits_per_second: Rates
    plans: dict[str, Plan] = Field(min_length=1)

    @property
    def free(self) -> str:
        """Name of the plan of an account without a subscription."""
        return next(iter(self.plans))

    def known(self, name: str) -> str:
        """The same name; that of the free plan if the table has none of it, such as after it was changed."""
        return name if name in self.plans else self.free

    def rank(self, name: str) -> int:
        """Its place from the least plan to the most."""
        return list(self.plans).index(name)

    def credits(self, kind: Kind, seconds: float) -> int:
        """The price, in whole credits: a part of one counts as one. Float noise does not (3.0000000001 s are 3 s)."""
        return max(0, math.ceil(seconds * getattr(self.credits_per_second, kind) - 1e-6))

    def seconds(self, kind: Kind, credits: float) -> float:
        """What this many credits pay for."""
        rate: float = getattr(self.credits_per_second, kind)
        return credits / rate


def load_plans(path: Path | None = None) -> Plans:
    """Raises SettingsError, which names what is wrong in the table."""
    path = path or TABLE
    try:
        return Plans.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise SettingsError(f"PLANS_FILE={path}: the table of plans cannot be read ({problem})") from None
    except ValidationError as problem:
        lines = [
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in problem.errors(include_url=False)[:10]
        ]
        raise SettingsError(f"PLANS_FILE={path}: " + "; ".join(lines)) from None


def check_prices(plans: Plans, prices: Iterable[str]) -> None:
    """prices: names of the plans that Stripe sells. Raises SettingsError for one that is not in the table."""
    unknown = sorted(set(prices) - set(plans.plans))
    if unknown:
        raise SettingsError(f"STRIPE_PRICES: there is no plan '{unknown[0]}'; the table has {', '.join(plans.plans)}")
