"""Sign sets for commands: those of the service without accounts, in the database that the service may use too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.errors import UnknownSignSet
from app.core.principal import ANONYMOUS
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.signs import SignSet
from app.services.signs.corpus import Corpora
from app.services.signs.embedding import Embed
from app.services.signs.service import SignSets
from app.services.signs.stored import SHARED


@asynccontextmanager
async def sign_sets_of(settings: Settings, embed: Embed) -> AsyncIterator[SignSets]:
    """For as long as the block lasts. Raises DatabaseUnavailable, SettingsError."""
    database = Database.of(settings)
    try:
        await database.open()
        yield SignSets(database, embed, Corpora(database, settings.datasets_dir).refresh)
    finally:
        await database.close()


async def found(sets: SignSets, named: str) -> SignSet:
    """The set with this name or id. Raises UnknownSignSet, which lists the names there are."""
    listed = [entry.row for entry in await sets.all_of(ANONYMOUS)]
    for row in listed:
        if named == str(row.id) or named.casefold() == row.name.casefold():
            return row
    names = ", ".join(f"'{row.name}'" for row in listed[:20]) or "none yet"
    raise UnknownSignSet(f"There is no sign set '{named[:80]}'; there are: {names}.")


async def references(sets: SignSets, named: list[str]) -> list[str]:
    """What `SignSets.wanted` takes, for names, ids and tokens of sets as people type them. Raises UnknownSignSet."""
    return [name if name.startswith(SHARED) else str((await found(sets, name)).id) for name in named]
