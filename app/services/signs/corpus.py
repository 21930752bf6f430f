"""Recordings that people give for training, until they take them back: consents, signers, and the corpora on disk."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from loguru import logger
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal
from app.db.database import Database
from app.db.models.corpus import CorpusConsent, CorpusSigner
from app.db.models.signs import SignSet
from app.services.billing.plans import Plan
from app.services.signs import corpus_repository, repository
from app.services.signs.consent import VERSION
from app.services.signs.corpus_files import Given, folder_of, missing_in, write
from app.services.signs.names import checked_name

#: Seconds between two looks at whether the folders are as the database says: other processes, commands and the end of
#: accounts change it too.
LOOK_S = 60.0
#: Recordings of one consent, whatever a plan allows.
MOST = 100_000
#: Landmarks that are held at once.
_PAGE = 200
#: The split of each person, by the order in which they first gave: of ten, seven train, two dev, one test. Whoever is
#: second is in dev, because nothing can be trained without a dev split.
_SPLITS = ("train", "dev", "train", "train", "train", "test", "train", "dev", "train", "train")


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent and what it covers."""

    row: CorpusConsent
    set_name: str | None
    """None: the set was deleted."""
    sign_language: str | None
    signer: str
    """Pseudonym."""
    given: int
    """Recordings in the corpus."""
    without_landmarks: int
    """Recordings of the set that are not, because their landmarks were not kept."""


class Corpora:
    """One per application. Methods raise DatabaseUnavailable beside what they name."""

    def __init__(self, database: Database, root: Path) -> None:
        """root: the folder of datasets."""
        self._database, self._root = database, root
        self._looking: asyncio.Task[None] | None = None
        self._written: dict[str, Sequence[Given]] = {}  # what each folder holds, as far as is known

    # -- consents -----------------------------------------------------------------------------------------------------

    async def of(self, principal: Principal) -> list[Consent]:
        """Of this account, those taken back included, the newest first; without accounts, of this service."""
        async with self._database.session() as session:
            return await _consents(session, await corpus_repository.consents(session, principal.user_id))

    async def give(
        self, principal: Principal, set_id: UUID, version: str, nickname: str = "", plan: Plan | None = None
    ) -> Consent:
        """The recordings of a set, with those added later; its landmarks are kept from now on. nickname: tells people
        at one machine apart, where there are no accounts.

        Raises UnknownSignSet, ConsentOutdated, InvalidRequest, PlanLimit, CorpusUnavailable.
        """
        if version != VERSION:
            raise errors.ConsentOutdated(
                f"The text has version {VERSION}, and version {version[:20]} was agreed to. Read it again "
                "(GET /api/signs/corpus)."
            )
        if nickname and principal.user_id is not None:
            raise errors.InvalidRequest("signed_by: an account is one person. Leave it out.")
        called = checked_name(nickname, "signed_by").casefold() if nickname else ""
        async with self._database.session() as session:  # for good: whatever is in the folder has to have its mark
            row = await repository.get(session, principal.user_id, set_id)
            if row is None:
                raise errors.UnknownSignSet
            await corpus_repository.locked(session, row.sign_language)
        async with self._database.session() as session:
            row = await repository.get(session, principal.user_id, set_id, lock=True)
            if row is None:
                raise errors.UnknownSignSet
            signer = await _signer(session, principal.user_id, called)
            consent = await corpus_repository.standing(session, set_id)
            if consent is None:
                most = await _allowed(session, signer, row, plan)
                consent = CorpusConsent(signer_id=signer.id, set_id=set_id, text_version=VERSION, most=most)
                session.add(consent)
                row.keep_landmarks = True
                await session.flush()
                await session.refresh(consent)
            # In the same transaction: without a folder to put them in, nothing was given.
            await self._write(session, [row.sign_language])
            return (await _consents(session, [consent]))[0]

    async def revoke(self, principal: Principal, set_id: UUID) -> None:
        """Nothing of the set is in the corpus any more; of one that was not given neither. Raises UnknownSignSet, and
        CorpusUnavailable where its files could not be deleted yet."""
        async with self._database.session() as session:
            row = await repository.get(session, principal.user_id, set_id, lock=True)
            if row is None:
                raise errors.UnknownSignSet
            await corpus_repository.revoke(session, set_id)
        async with self._database.session() as session:
            await self._write(session, [row.sign_language])

    # -- the folders --------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Make the folders hold what the database says; what goes wrong is logged and tried again by `look`."""
        try:
            async with self._database.session() as session:
                await self._write(session, await corpus_repository.languages(session))
        except errors.CorpusUnavailable as problem:
            logger.error("{}", problem.detail)
        except errors.DatabaseUnavailable as problem:
            logger.debug("the training corpora were not looked at: {}", problem.detail)

    def look(self) -> None:
        """Refresh now and then, until `close`."""

        async def forever() -> None:
            while True:
                await self.refresh()
                await asyncio.sleep(LOOK_S)

        self._looking = asyncio.create_task(forever(), name="training-corpora")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _write(self, session: AsyncSession, languages: Sequence[str]) -> None:
        """Raises CorpusUnavailable."""
        for language in languages:
            # One process at a time, each with what all before it have stored.
            mark = await corpus_repository.locked(session, language)
            found = await corpus_repository.recordings(session, language)
            folder = folder_of(self._root, language)
            try:
                missing = await asyncio.to_thread(missing_in, folder, found)
                if not missing and self._written.get(language) == found:
                    continue
                self._written.pop(language, None)
                for at in range(0, len(missing), _PAGE):
                    landmarks = await corpus_repository.landmarks(session, missing[at : at + _PAGE])
                    later = set(missing[at + _PAGE :])
                    there = [given for given in found if given.id not in later]
                    await asyncio.to_thread(write, folder, mark, language, there, landmarks)
                if not missing:
                    await asyncio.to_thread(write, folder, mark, language, found, {})
                self._written[language] = found
            except OSError as problem:
                raise errors.CorpusUnavailable(
                    f"The folder DATASETS_DIR cannot be written: {problem.strerror or problem}. Let the service write "
                    "there; what was taken back is deleted as soon as it can."
                ) from problem


async def _signer(session: AsyncSession, user_id: UUID | None, nickname: str) -> CorpusSigner:
    """The person, who gets a pseudonym and a split the first time."""
    count = await corpus_repository.number_of_signers(session)  # locks: two new ones do not get one place
    found = await corpus_repository.signer(session, user_id, nickname)
    if found is None:
        found = CorpusSigner(
            user_id=user_id,
            nickname=nickname,
            pseudonym=f"signer-{secrets.token_hex(5)}",
            split=_SPLITS[count % len(_SPLITS)],
        )
        session.add(found)
        await session.flush()
    return found


async def _allowed(session: AsyncSession, signer: CorpusSigner, row: SignSet, plan: Plan | None) -> int:
    """Recordings of the set that may be given. Raises PlanLimit."""
    if plan is None:
        return MOST
    given = await corpus_repository.given_by(session, signer.id)
    wanted = len([r for r in await repository.recordings(session, row.id) if r.landmarks is not None])
    if given + wanted > plan.corpus_recordings or given >= plan.corpus_recordings:
        raise errors.PlanLimit(
            f"The plan {plan.title} allows {plan.corpus_recordings} recordings to be given for training; {given} are, "
            f"and this set has {wanted}. Take another set back, or choose a larger plan (GET /api/billing/plans).",
            limit="corpus_recordings",
        )
    return min(plan.corpus_recordings - given, MOST)


async def _consents(session: AsyncSession, rows: Sequence[CorpusConsent]) -> list[Consent]:
    out = []
    for row in rows:
        signer = await session.get_one(CorpusSigner, row.signer_id)
        of_set = await session.get(SignSet, row.set_id) if row.set_id is not None else None
        every = await corpus_repository.kept(session, of_set.id) if of_set is not None and not row.revoked_at else []
        kept = sum(every)
        out.append(
            Consent(
                row,
                of_set.name if of_set is not None else None,
                of_set.sign_language if of_set is not None else None,
                signer.pseudonym,
                min(kept, row.most),
                len(every) - kept,
            )
        )
    return out
