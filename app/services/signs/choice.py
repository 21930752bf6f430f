"""What a session or request reads with that names sign sets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal
from app.db.database import Database
from app.db.models.signs import SignRecording, SignSet
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
from app.pipeline.module3_sequence.taught import NoHands, TaughtSign, TaughtSigns
from app.services.recognition.vocabularies import Vocabulary, Wanted, WithTaught
from app.services.signs import repository, stored
from app.services.signs.embedding import Embed

#: Sets that one session or request reads with.
MAX_READ = 8


async def wanted(
    database: Database,
    embed: Embed,
    principal: Principal,
    vocabulary: Vocabulary,
    sets: Sequence[str],
    space: str,
) -> Wanted:
    """What a session or request reads with that names these sets (ids of own ones, or tokens of shared ones), alone
    or beside a vocabulary. space: of the recogniser in use. Raises UnknownSignSet, SignsOutdated, InvalidRequest.
    """
    if not sets:
        return vocabulary
    if len(sets) > MAX_READ:
        raise errors.InvalidRequest(f"sign_sets: at most {MAX_READ} sets are read at once; got {len(sets)}.")
    rows: dict[str, list[NDArray[np.float32]]] = {}
    names, languages = [], []
    for named in dict.fromkeys(sets):
        row, own = await _read_set(database, embed, principal, named, space)
        names.append(row.name)
        languages.append(row.sign_language)
        for gloss, vectors in own.items():
            rows.setdefault(gloss, []).extend(vectors)
    if not rows:
        raise errors.SignsOutdated(f"The sign set '{names[0]}' has no recording yet. Teach it a sign first.")
    signs = await asyncio.to_thread(
        lambda: tuple(TaughtSign.of(gloss, np.stack(vectors)) for gloss, vectors in rows.items())
    )
    # Signs of another language than the recogniser's are not put into its sentences.
    language = next((code for code in languages if code != languages[0]), languages[0])
    return WithTaught(vocabulary, TaughtSigns(signs, "+".join(names)[:80], language, space))


async def _read_set(
    database: Database, embed: Embed, principal: Principal, named: str, space: str
) -> tuple[SignSet, Mapping[str, list[NDArray[np.float32]]]]:
    async with database.session() as session:
        row = await _named(session, principal, named)
        glosses = {sign.id: sign.gloss for sign in await repository.signs(session, row.id)}
        recordings = await repository.recordings(session, row.id)
    if old := [r for r in recordings if r.space != space]:
        await _embed_again(database, embed, row, old, space)
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for recording in recordings:
        rows.setdefault(glosses[recording.sign_id], []).append(stored.unpacked(recording.embedding))
    return row, rows


async def _embed_again(
    database: Database, embed: Embed, row: SignSet, recordings: Sequence[SignRecording], space: str
) -> None:
    """Embeddings of another recogniser's are made again from landmarks, where they were kept."""
    if any(recording.landmarks is None for recording in recordings):
        raise errors.SignsOutdated(
            f"The sign set '{row.name}' was taught to another recogniser than the one in use, and its landmarks "
            "were not kept. Teach its signs again; with keep_landmarks, this happens by itself."
        )
    for recording in recordings:
        landmarks = recording.landmarks
        assert landmarks is not None
        clip = await asyncio.to_thread(load_landmarks, landmarks, "recording.npz")
        try:
            found = await embed(clip)
        except NoHands as problem:
            raise errors.SignsOutdated from problem
        if found.space != space:
            raise errors.SignsOutdated("The recogniser was replaced at this moment. Try again.")
        recording.space, recording.embedding = found.space, stored.packed(found.row)
        async with database.session() as session:
            kept = await session.get(SignRecording, recording.id)
            if kept is not None:
                kept.space, kept.embedding = recording.space, recording.embedding


async def _named(session: AsyncSession, principal: Principal, named: str) -> SignSet:
    if named.startswith(stored.SHARED):
        return await stored.shared(session, named)
    try:
        return await stored.own(session, principal, UUID(named))
    except ValueError:
        raise errors.UnknownSignSet from None
