"""Sign sets: signs that people teach, recording by recording, and what reads with them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.core.principal import Principal
from app.db.database import Database
from app.db.models.signs import SignRecording, SignSet, TaughtSignRow
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks, save_npz
from app.pipeline.module3_sequence.taught import NoHands, TaughtSign, TaughtSigns
from app.pipeline.module3_sequence.teaching import (
    Note,
    ReadBack,
    Unusable,
    check_recording,
    check_together,
    confusable,
    read_back,
)
from app.services.billing.plans import Plan
from app.services.recognition.vocabularies import Vocabulary, Wanted, WithTaught
from app.services.signs import corpus_repository, repository
from app.services.signs.embedding import Embed, Embedded
from app.services.signs.files import SetFile, SignInFile, StoredRecording, read_file, written
from app.services.signs.names import checked_gloss, checked_language, checked_name

#: Hard bounds, whatever a plan allows.
MAX_SETS, MAX_SIGNS, MAX_RECORDINGS = 100, 500, 50
#: Sets that one session or request reads with.
MAX_READ = 8
#: How a token with which others read a set begins.
SHARED = "gs_"
_LONGEST_TOKEN = 80


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a set."""

    row: TaughtSignRow
    recordings: Sequence[SignRecording]
    back: ReadBack | None
    """How its recordings are read by leave-one-out; None with fewer than two."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A set and all that is in it."""

    row: SignSet
    signs: Sequence[Sign]
    readable: bool
    """Whether the recogniser in use can read it; otherwise it has to be taught again."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A set in a list."""

    row: SignSet
    signs: int
    recordings: int


@dataclass(frozen=True, slots=True)
class Added:
    """A recording was learned from."""

    recording: SignRecording
    sign: Sign
    notes: list[Note] = field(default_factory=list)


#: Raises nothing.
Changed = Callable[[], Awaitable[None]]


async def _nothing() -> None: ...


class SignSets:
    """One per application. Methods raise DatabaseUnavailable beside what they name; UnknownSignSet for sets of others
    too."""

    def __init__(self, database: Database, embed: Embed, changed: Changed = _nothing) -> None:
        """changed: called when recordings, or what they are called, have changed."""
        self._database, self._embed, self._changed = database, embed, changed

    # -- sets ---------------------------------------------------------------------------------------------------------

    async def all_of(self, principal: Principal) -> list[Listed]:
        """By name."""
        async with self._database.session() as session:
            rows = await repository.sets(session, principal.user_id)
            counts = await repository.counts(session, [row.id for row in rows])
        return [Listed(row, *counts.get(row.id, (0, 0))) for row in rows]

    async def create(
        self, principal: Principal, name: str, sign_language: str, keep_landmarks: bool, plan: Plan | None = None
    ) -> SignSet:
        """An empty set. plan: of the account, where there are plans. Raises InvalidRequest, TooManySigns, PlanLimit."""
        row = SignSet(
            user_id=principal.user_id,
            name=checked_name(name),
            sign_language=checked_language(sign_language),
            keep_landmarks=keep_landmarks,
        )
        async with self._database.session() as session:
            await self._check_sets(session, principal, plan)
            session.add(row)
            await session.flush()
            await session.refresh(row)
        return row

    async def _check_sets(self, session: AsyncSession, principal: Principal, plan: Plan | None) -> None:
        count = len(await repository.sets(session, principal.user_id))
        if plan is not None and count >= plan.sign_sets:
            raise errors.PlanLimit(
                f"The plan {plan.title} allows {plan.sign_sets} sign sets, and there are {count}. Delete one, or "
                "choose a larger plan (GET /api/billing/plans).",
                limit="sign_sets",
            )
        if count >= MAX_SETS:
            raise errors.TooManySigns(f"There are {count} sign sets, the limit of this service. Delete one first.")

    async def get(self, principal: Principal, set_id: UUID, space: str) -> Contents:
        """space: of the recogniser in use. Raises UnknownSignSet."""
        async with self._database.session() as session:
            row = await self._own(session, principal, set_id)
            return await _contents(session, row, space)

    async def change(
        self, principal: Principal, set_id: UUID, name: str | None = None, keep_landmarks: bool | None = None
    ) -> SignSet:
        """Not to keep landmarks any more deletes those that are kept, and takes back what was given for training.
        Raises UnknownSignSet, InvalidRequest."""
        async with self._database.session() as session:
            row = await self._own(session, principal, set_id, lock=True)
            if name is not None:
                row.name = checked_name(name)
            if keep_landmarks is not None:
                row.keep_landmarks = keep_landmarks
                if not keep_landmarks:
                    await repository.forget_landmarks(session, set_id)
                    await corpus_repository.revoke(session, set_id)
            await repository.touch(session, set_id)
            await session.flush()
            await session.refresh(row)
        await self._changed()
        return row

    async def remove(self, principal: Principal, set_id: UUID) -> None:
        """With all its recordings, at once and for good. Raises UnknownSignSet."""
        async with self._database.session() as session:
            if not await repository.remove(session, principal.user_id, set_id):
                raise errors.UnknownSignSet
        await self._changed()

    async def share(self, principal: Principal, set_id: UUID) -> str:
        """A new token with which others read the set; the one before is void. Raises UnknownSignSet."""
        token = SHARED + secrets.token_urlsafe(24)
        async with self._database.session() as session:
            (await self._own(session, principal, set_id, lock=True)).share_digest = _digest(token)
        return token

    async def unshare(self, principal: Principal, set_id: UUID) -> None:
        """Nobody else reads the set any more. Raises UnknownSignSet."""
        async with self._database.session() as session:
            (await self._own(session, principal, set_id, lock=True)).share_digest = None

    async def shared(self, token: str, space: str) -> Contents:
        """The set that a token is for. Raises UnknownSignSet."""
        async with self._database.session() as session:
            return await _contents(session, await _shared(session, token), space)

    # -- signs --------------------------------------------------------------------------------------------------------

    async def add_sign(self, principal: Principal, set_id: UUID, name: str, plan: Plan | None = None) -> TaughtSignRow:
        """A sign without recordings yet. Raises UnknownSignSet, InvalidRequest, SignExists, TooManySigns, PlanLimit."""
        gloss = checked_gloss(name)
        async with self._database.session() as session:
            await self._own(session, principal, set_id, lock=True)
            count = len(await repository.signs(session, set_id))
            if plan is not None and count >= plan.signs_a_set:
                raise errors.PlanLimit(
                    f"The plan {plan.title} allows {plan.signs_a_set} signs in a set. Delete one, or choose a larger "
                    "plan (GET /api/billing/plans).",
                    limit="signs_a_set",
                )
            if count >= MAX_SIGNS:
                raise errors.TooManySigns(f"The set has {count} signs, the limit. Begin another set.")
            if await repository.sign_called(session, set_id, gloss) is not None:
                raise _exists(gloss)
            row = TaughtSignRow(set_id=set_id, gloss=gloss)
            session.add(row)
            await repository.touch(session, set_id)
            await session.flush()
            await session.refresh(row)
        return row

    async def rename_sign(self, principal: Principal, set_id: UUID, sign_id: UUID, name: str) -> TaughtSignRow:
        """Raises UnknownSignSet, InvalidRequest, SignExists."""
        gloss = checked_gloss(name)
        async with self._database.session() as session:
            row = await self._own_sign(session, principal, set_id, sign_id)
            other = await repository.sign_called(session, set_id, gloss)
            if other is not None and other.id != row.id:
                raise _exists(gloss)
            row.gloss = gloss
            await repository.touch(session, set_id)
        await self._changed()
        return row

    async def remove_sign(self, principal: Principal, set_id: UUID, sign_id: UUID) -> None:
        """Raises UnknownSignSet."""
        async with self._database.session() as session:
            await session.delete(await self._own_sign(session, principal, set_id, sign_id))
            await repository.touch(session, set_id)
        await self._changed()

    async def add_recording(
        self, principal: Principal, set_id: UUID, sign_id: UUID, clip: Keypoints, insist: bool = False
    ) -> Added:
        """Learn from a recording. insist: even where it looks like another sign than the others.

        Raises UnknownSignSet, RecordingRefused, DifferentSigns, TooManySigns, and what reading a clip raises.
        """
        async with self._database.session() as session:  # before the work
            await self._own_sign(session, principal, set_id, sign_id)
        try:
            notes = check_recording(clip)
            found = await self._embed(clip)
        except Unusable as problem:
            raise errors.RecordingRefused(problem.note.message, reason=problem.note.code) from problem
        except NoHands as problem:
            raise errors.RecordingRefused(reason="no_hands") from problem
        async with self._database.session() as session:
            row = await self._own(session, principal, set_id, lock=True)
            sign_row = await self._own_sign(session, principal, set_id, sign_id)
            rows = await self._rows(session, set_id, found.space)
            own = rows.get(sign_row.gloss, [])
            if len(own) >= MAX_RECORDINGS:
                raise errors.TooManySigns(f"The sign has {len(own)} recordings, the limit. Delete one first.")
            together = np.stack([*(vector for _, vector in own), found.row])
            try:
                notes += check_together(together)
            except Unusable as problem:
                if not insist:
                    raise errors.DifferentSigns(problem.note.message) from problem
                notes.append(problem.note)
            recording = SignRecording(
                sign_id=sign_id,
                space=found.space,
                embedding=_packed(found.row),
                landmarks=await asyncio.to_thread(_landmarks, clip) if row.keep_landmarks else None,
                duration_s=clip.duration_s,
            )
            session.add(recording)
            await repository.touch(session, set_id)
            await session.flush()
            await session.refresh(recording)
            whole = {gloss: np.stack([vector for _, vector in pairs]) for gloss, pairs in rows.items()}
            whole[sign_row.gloss] = together
            notes += _confusable(whole, sign_row.gloss)
            back = (await asyncio.to_thread(read_back, whole)).get(sign_row.gloss)
            recordings = [*(stored for stored, _ in own), recording]
        await self._changed()
        return Added(recording, Sign(sign_row, recordings, back), notes)

    async def remove_recording(self, principal: Principal, set_id: UUID, sign_id: UUID, recording_id: UUID) -> None:
        """Raises UnknownSignSet."""
        async with self._database.session() as session:
            await self._own_sign(session, principal, set_id, sign_id)
            if not await repository.remove_recording(session, sign_id, recording_id):
                raise errors.UnknownSignSet("There is no such recording of this sign.")
            await repository.touch(session, set_id)
        await self._changed()

    # -- files --------------------------------------------------------------------------------------------------------

    async def export(self, principal: Principal, set_id: UUID, landmarks: bool) -> bytes:
        """The set as a file; landmarks: with those that are kept. Raises UnknownSignSet, InvalidSignFile if it would be
        too large."""
        async with self._database.session() as session:
            row = await self._own(session, principal, set_id)
            contents = await _contents(session, row, "", measured=False)
        signs = tuple(
            SignInFile(
                sign.row.gloss,
                tuple(
                    StoredRecording(r.space, r.embedding, r.landmarks if landmarks else None, r.duration_s)
                    for r in sign.recordings
                ),
            )
            for sign in contents.signs
        )
        return await asyncio.to_thread(written, SetFile(row.name, row.sign_language, signs))

    async def add_file(
        self, principal: Principal, data: bytes | bytearray, keep_landmarks: bool, plan: Plan | None = None
    ) -> SignSet:
        """A new set from a file. keep_landmarks: those in it, too. Raises InvalidSignFile, TooManySigns, PlanLimit."""
        file = await asyncio.to_thread(read_file, bytes(data))
        return await self._add(principal, file, keep_landmarks, plan)

    async def copy_shared(self, principal: Principal, token: str, plan: Plan | None = None) -> SignSet:
        """A copy of a shared set, without landmarks. Raises UnknownSignSet, TooManySigns, PlanLimit."""
        async with self._database.session() as session:
            row = await _shared(session, token)
            contents = await _contents(session, row, "", measured=False)
        signs = tuple(
            SignInFile(
                sign.row.gloss,
                tuple(StoredRecording(r.space, r.embedding, None, r.duration_s) for r in sign.recordings),
            )
            for sign in contents.signs
        )
        return await self._add(principal, SetFile(row.name, row.sign_language, signs), False, plan)

    async def _add(self, principal: Principal, file: SetFile, keep_landmarks: bool, plan: Plan | None) -> SignSet:
        if plan is not None and len(file.signs) > plan.signs_a_set:
            raise errors.PlanLimit(
                f"The set has {len(file.signs)} signs; the plan {plan.title} allows {plan.signs_a_set} in a set.",
                limit="signs_a_set",
            )
        row = SignSet(
            user_id=principal.user_id,
            name=checked_name(file.name),
            sign_language=checked_language(file.sign_language),
            keep_landmarks=keep_landmarks,
        )
        async with self._database.session() as session:
            await self._check_sets(session, principal, plan)
            session.add(row)
            await session.flush()
            for sign in file.signs:
                sign_row = TaughtSignRow(set_id=row.id, gloss=sign.gloss)
                session.add(sign_row)
                await session.flush()
                for stored in sign.recordings:
                    session.add(
                        SignRecording(
                            sign_id=sign_row.id,
                            space=stored.space,
                            embedding=stored.embedding,
                            landmarks=stored.landmarks if keep_landmarks else None,
                            duration_s=stored.duration_s,
                        )
                    )
            await session.flush()
            await session.refresh(row)
        return row

    # -- reading ------------------------------------------------------------------------------------------------------

    async def wanted(self, principal: Principal, vocabulary: Vocabulary, sets: Sequence[str], space: str) -> Wanted:
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
            row, own = await self._read_set(principal, named, space)
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
        self, principal: Principal, named: str, space: str
    ) -> tuple[SignSet, Mapping[str, list[NDArray[np.float32]]]]:
        async with self._database.session() as session:
            row = await self._named(session, principal, named)
            glosses = {sign.id: sign.gloss for sign in await repository.signs(session, row.id)}
            recordings = await repository.recordings(session, row.id)
        if old := [r for r in recordings if r.space != space]:
            await self._embed_again(row, old, space)
        rows: dict[str, list[NDArray[np.float32]]] = {}
        for recording in recordings:
            rows.setdefault(glosses[recording.sign_id], []).append(_unpacked(recording.embedding))
        return row, rows

    async def _embed_again(self, row: SignSet, recordings: Sequence[SignRecording], space: str) -> None:
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
                found = await self._embed(clip)
            except NoHands as problem:
                raise errors.SignsOutdated from problem
            if found.space != space:
                raise errors.SignsOutdated("The recogniser was replaced at this moment. Try again.")
            recording.space, recording.embedding = found.space, _packed(found.row)
            async with self._database.session() as session:
                stored = await session.get(SignRecording, recording.id)
                if stored is not None:
                    stored.space, stored.embedding = recording.space, recording.embedding

    # -- helpers ------------------------------------------------------------------------------------------------------

    async def _named(self, session: AsyncSession, principal: Principal, named: str) -> SignSet:
        if named.startswith(SHARED):
            return await _shared(session, named)
        try:
            return await self._own(session, principal, UUID(named))
        except ValueError:
            raise errors.UnknownSignSet from None

    async def _own(self, session: AsyncSession, principal: Principal, set_id: UUID, lock: bool = False) -> SignSet:
        row = await repository.get(session, principal.user_id, set_id, lock)
        if row is None:
            raise errors.UnknownSignSet
        return row

    async def _own_sign(
        self, session: AsyncSession, principal: Principal, set_id: UUID, sign_id: UUID
    ) -> TaughtSignRow:
        await self._own(session, principal, set_id)
        row = await repository.sign(session, set_id, sign_id)
        if row is None:
            raise errors.UnknownSignSet("There is no such sign in this set.")
        return row

    async def _rows(
        self, session: AsyncSession, set_id: UUID, space: str
    ) -> dict[str, list[tuple[SignRecording, NDArray[np.float32]]]]:
        """Gloss -> its recordings that can be compared in this space."""
        glosses = {sign.id: sign.gloss for sign in await repository.signs(session, set_id)}
        rows: dict[str, list[tuple[SignRecording, NDArray[np.float32]]]] = {}
        for recording in await repository.recordings(session, set_id):
            if recording.space == space:
                pair = recording, _unpacked(recording.embedding)
                rows.setdefault(glosses[recording.sign_id], []).append(pair)
        return rows


async def _contents(session: AsyncSession, row: SignSet, space: str, measured: bool = True) -> Contents:
    signs = await repository.signs(session, row.id)
    by_sign: dict[UUID, list[SignRecording]] = {sign.id: [] for sign in signs}
    for recording in await repository.recordings(session, row.id):
        by_sign[recording.sign_id].append(recording)
    every = [r for recordings in by_sign.values() for r in recordings]
    readable = all(r.space == space or r.landmarks is not None for r in every)
    back: dict[str, ReadBack] = {}
    if measured and every and all(r.space == space for r in every):
        table = {
            sign.gloss: np.stack([_unpacked(r.embedding) for r in by_sign[sign.id]])
            for sign in signs
            if by_sign[sign.id]
        }
        back = await asyncio.to_thread(read_back, table)
    return Contents(row, [Sign(sign, by_sign[sign.id], back.get(sign.gloss)) for sign in signs], readable)


async def _shared(session: AsyncSession, token: str) -> SignSet:
    row = None
    if token.startswith(SHARED) and len(token) <= _LONGEST_TOKEN:
        row = await repository.shared(session, _digest(token))
    if row is None:
        raise errors.UnknownSignSet("No sign set is shared with this token; it may have been withdrawn.")
    return row


def _confusable(whole: Mapping[str, NDArray[np.float32]], gloss: str) -> list[Note]:
    others = [TaughtSign.of(other, rows) for other, rows in whole.items() if other != gloss]
    return confusable(TaughtSign.of(gloss, whole[gloss]), others)


def _exists(gloss: str) -> errors.SignExists:
    return errors.SignExists(f"The set has a sign {gloss} already. Add recordings to that one, or take another name.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()  # 192 random bits need no salt


def _packed(row: NDArray[np.float32]) -> bytes:
    return row.astype("<f2").tobytes()


def _unpacked(stored: bytes) -> NDArray[np.float32]:
    return np.frombuffer(stored, "<f2").astype(np.float32)


def _landmarks(clip: Keypoints) -> bytes:
    out = io.BytesIO()
    save_npz(out, clip)  # type: ignore[arg-type]
    return out.getvalue()


__all__ = ["Added", "Contents", "Embedded", "Listed", "Sign", "SignSets"]
