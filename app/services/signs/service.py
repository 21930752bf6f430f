"""Sign sets: signs that people teach, recording by recording; their files, and with whom they are shared."""

from __future__ import annotations

import asyncio
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
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from app.pipeline.module3_sequence.taught import NoHands, TaughtSign
from app.pipeline.module3_sequence.teaching import (
    Note,
    Unusable,
    check_recording,
    check_together,
    confusable,
    read_back,
)
from app.services.billing.plans import Plan
from app.services.recognition.vocabularies import Vocabulary, Wanted
from app.services.signs import choice, corpus_repository, repository, stored
from app.services.signs.embedding import Embed
from app.services.signs.files import SetFile, SignInFile, StoredRecording, read_file, written
from app.services.signs.names import checked_gloss, checked_language, checked_name
from app.services.signs.stored import Contents, Listed, Sign

#: Hard bounds, whatever a plan allows.
MAX_SETS, MAX_SIGNS, MAX_RECORDINGS = 100, 500, 50


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
            row = await stored.own(session, principal, set_id)
            return await stored.contents(session, row, space)

    async def change(
        self, principal: Principal, set_id: UUID, name: str | None = None, keep_landmarks: bool | None = None
    ) -> SignSet:
        """Not to keep landmarks any more deletes those that are kept, and takes back what was given for training.
        Raises UnknownSignSet, InvalidRequest."""
        async with self._database.session() as session:
            row = await stored.own(session, principal, set_id, lock=True)
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
        token = stored.SHARED + secrets.token_urlsafe(24)
        async with self._database.session() as session:
            (await stored.own(session, principal, set_id, lock=True)).share_digest = stored.digest(token)
        return token

    async def unshare(self, principal: Principal, set_id: UUID) -> None:
        """Nobody else reads the set any more. Raises UnknownSignSet."""
        async with self._database.session() as session:
            (await stored.own(session, principal, set_id, lock=True)).share_digest = None

    async def shared(self, token: str, space: str) -> Contents:
        """The set that a token is for. Raises UnknownSignSet."""
        async with self._database.session() as session:
            return await stored.contents(session, await stored.shared(session, token), space)

    # -- signs --------------------------------------------------------------------------------------------------------

    async def add_sign(self, principal: Principal, set_id: UUID, name: str, plan: Plan | None = None) -> TaughtSignRow:
        """A sign without recordings yet. Raises UnknownSignSet, InvalidRequest, SignExists, TooManySigns, PlanLimit."""
        gloss = checked_gloss(name)
        async with self._database.session() as session:
            await stored.own(session, principal, set_id, lock=True)
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
            row = await stored.own(session, principal, set_id, lock=True)
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
                embedding=stored.packed(found.row),
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
            recordings = [*(before for before, _ in own), recording]
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
            contents = await stored.contents(session, await stored.own(session, principal, set_id), "", measured=False)
        return await asyncio.to_thread(written, _file_of(contents, landmarks))

    async def add_file(
        self, principal: Principal, data: bytes | bytearray, keep_landmarks: bool, plan: Plan | None = None
    ) -> SignSet:
        """A new set from a file. keep_landmarks: those in it, too. Raises InvalidSignFile, TooManySigns, PlanLimit."""
        file = await asyncio.to_thread(read_file, bytes(data))
        return await self._add(principal, file, keep_landmarks, plan)

    async def copy_shared(self, principal: Principal, token: str, plan: Plan | None = None) -> SignSet:
        """A copy of a shared set, without landmarks. Raises UnknownSignSet, TooManySigns, PlanLimit."""
        async with self._database.session() as session:
            contents = await stored.contents(session, await stored.shared(session, token), "", measured=False)
        return await self._add(principal, _file_of(contents, landmarks=False), False, plan)

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
                for kept in sign.recordings:
                    session.add(
                        SignRecording(
                            sign_id=sign_row.id,
                            space=kept.space,
                            embedding=kept.embedding,
                            landmarks=kept.landmarks if keep_landmarks else None,
                            duration_s=kept.duration_s,
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
        return await choice.wanted(self._database, self._embed, principal, vocabulary, sets, space)

    # -- helpers ------------------------------------------------------------------------------------------------------

    async def _own_sign(
        self, session: AsyncSession, principal: Principal, set_id: UUID, sign_id: UUID
    ) -> TaughtSignRow:
        await stored.own(session, principal, set_id)
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
                pair = recording, stored.unpacked(recording.embedding)
                rows.setdefault(glosses[recording.sign_id], []).append(pair)
        return rows


def _file_of(contents: Contents, landmarks: bool) -> SetFile:
    """landmarks: with those that are kept."""
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
    return SetFile(contents.row.name, contents.row.sign_language, signs)


def _confusable(whole: Mapping[str, NDArray[np.float32]], gloss: str) -> list[Note]:
    others = [TaughtSign.of(other, rows) for other, rows in whole.items() if other != gloss]
    return confusable(TaughtSign.of(gloss, whole[gloss]), others)


def _exists(gloss: str) -> errors.SignExists:
    return errors.SignExists(f"The set has a sign {gloss} already. Add recordings to that one, or take another name.")


def _landmarks(clip: Keypoints) -> bytes:
    out = io.BytesIO()
    save_npz(out, clip)  # type: ignore[arg-type]
    return out.getvalue()
