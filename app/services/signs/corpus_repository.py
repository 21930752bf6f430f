"""Consents, signers and given recordings in the database."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.corpus import Corpus, CorpusConsent, CorpusSigner
from app.db.models.signs import SignRecording, SignSet, TaughtSignRow
from app.services.signs.corpus_files import Given

#: Of the advisory lock under which signers are counted.
_SIGNERS = 7_305_514


async def consents(session: AsyncSession, owner: UUID | None) -> Sequence[CorpusConsent]:
    """The newest first."""
    query = select(CorpusConsent).join(CorpusSigner, CorpusSigner.id == CorpusConsent.signer_id)
    own = CorpusSigner.user_id.is_(None) if owner is None else CorpusSigner.user_id == owner
    return (await session.scalars(query.where(own).order_by(CorpusConsent.given_at.desc()))).all()


async def standing(session: AsyncSession, set_id: UUID) -> CorpusConsent | None:
    """The consent of a set that was not taken back."""
    return await session.scalar(
        select(CorpusConsent).where(CorpusConsent.set_id == set_id, CorpusConsent.revoked_at.is_(None))
    )


async def revoke(session: AsyncSession, set_id: UUID) -> None:
    query = update(CorpusConsent).where(CorpusConsent.set_id == set_id, CorpusConsent.revoked_at.is_(None))
    await session.execute(query.values(revoked_at=func.now()))


async def number_of_signers(session: AsyncSession) -> int:
    """Nobody else counts until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SIGNERS})
    return int(await session.scalar(select(func.count(CorpusSigner.id))) or 0)


async def signer(session: AsyncSession, user_id: UUID | None, nickname: str) -> CorpusSigner | None:
    query = select(CorpusSigner)
    if user_id is not None:
        return await session.scalar(query.where(CorpusSigner.user_id == user_id))
    return await session.scalar(query.where(CorpusSigner.user_id.is_(None), CorpusSigner.nickname == nickname))


async def given_by(session: AsyncSession, signer_id: UUID) -> int:
    """Recordings of a person that are in corpora."""
    rows = await session.scalars(
        select(CorpusConsent).where(CorpusConsent.signer_id == signer_id, CorpusConsent.revoked_at.is_(None))
    )
    return sum([min(sum(await kept(session, row.set_id)), row.most) for row in rows.all() if row.set_id is not None])


async def kept(session: AsyncSession, set_id: UUID) -> list[bool]:
    """Of each recording of a set, whether its landmarks are kept."""
    query = select(SignRecording.landmarks.is_not(None)).join(TaughtSignRow, TaughtSignRow.id == SignRecording.sign_id)
    return list((await session.scalars(query.where(TaughtSignRow.set_id == set_id))).all())


async def languages(session: AsyncSession) -> list[str]:
    """Sign languages that have, or had, a corpus."""
    return list((await session.scalars(select(Corpus.sign_language).order_by(Corpus.sign_language))).all())


async def locked(session: AsyncSession, sign_language: str) -> UUID:
    """The mark of a language's corpus, which nobody else writes until the transaction ends."""
    new = insert(Corpus).values(sign_language=sign_language, mark=uuid4())
    await session.execute(new.on_conflict_do_nothing())
    return (
        await session.scalars(select(Corpus.mark).where(Corpus.sign_language == sign_language).with_for_update())
    ).one()


async def recordings(session: AsyncSession, sign_language: str) -> list[Given]:
    """All that is given of a language, of each consent the first `most`."""
    place = func.row_number().over(partition_by=CorpusConsent.id, order_by=(SignRecording.created_at, SignRecording.id))
    inner = (
        select(
            SignRecording.id,
            TaughtSignRow.gloss,
            CorpusSigner.pseudonym,
            CorpusSigner.split,
            CorpusConsent.most,
            place.label("place"),
        )
        .join(TaughtSignRow, TaughtSignRow.id == SignRecording.sign_id)
        .join(SignSet, SignSet.id == TaughtSignRow.set_id)
        .join(CorpusConsent, CorpusConsent.set_id == SignSet.id)
        .join(CorpusSigner, CorpusSigner.id == CorpusConsent.signer_id)
        .where(
            SignSet.sign_language == sign_language,
            CorpusConsent.revoked_at.is_(None),
            SignRecording.landmarks.is_not(None),
        )
        .subquery()
    )
    query = select(inner.c.id, inner.c.gloss, inner.c.pseudonym, inner.c.split).where(inner.c.place <= inner.c.most)
    return [Given(*row) for row in await session.execute(query.order_by(inner.c.id))]


async def landmarks(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Of these recordings, as .npz."""
    query = select(SignRecording.id, SignRecording.landmarks).where(SignRecording.id.in_(ids))
    return {id_: data for id_, data in await session.execute(query) if data is not None}
