"""What clients read with that name sign sets, at whichever door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.core import errors
from app.core.principal import Principal
from app.services.recognition.model_host import ModelHost
from app.services.recognition.vocabularies import Vocabulary, Wanted
from app.services.signs.service import SignSets

NO_DATABASE = (
    "sign_sets: this service keeps none, because it has no database. Set DATABASE_URL, or TRAINING=true for a database "
    "of its own, and start it again; or leave sign_sets out."
)


async def found(
    sets: SignSets | None, host: ModelHost, principal: Principal, vocabulary: Vocabulary, named: Sequence[str]
) -> Wanted:
    """What to read with: the sets of this principal with these ids, and those shared with these tokens, beside the
    vocabulary, or alone where that is None. Raises UnknownSignSet, SignsOutdated, InvalidRequest,
    DatabaseUnavailable."""
    if not named:
        return vocabulary
    if sets is None:
        raise errors.DatabaseUnavailable(NO_DATABASE)
    recogniser = host.recogniser
    return await sets.wanted(principal, vocabulary, named, await asyncio.to_thread(lambda: recogniser.embedding_space))


def from_text(text: str | None) -> tuple[str, ...]:
    """Ids and tokens of sets as a query has them, separated by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
