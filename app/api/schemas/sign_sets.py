"""What the routes of sign sets accept and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.db.models.signs import SignRecording, SignSet, TaughtSignRow
from app.pipeline.module3_sequence.teaching import Note, ReadBack
from app.services.signs.service import Added
from app.services.signs.stored import Contents, Listed, Sign


class _Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class _Request(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class NewSignSet(_Request):
    """A sign set to make."""

    name: str = Field(min_length=1, max_length=640, examples=["Family"])
    """At most 80 characters of any script."""
    sign_language: str = Field(min_length=3, max_length=3, examples=["bfi"])
    """ISO 639-3 code. Sentences are made of American Sign Language alone: glosses of others stay as they are signed."""
    keep_landmarks: bool = False
    """Whether landmarks of recordings are stored, so that the set survives a new recogniser. Pictures never are."""


class SignSetChange(_Request):
    """What to change of a set; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=640)
    keep_landmarks: bool | None = None
    """False deletes those that are stored."""


class SignName(_Request):
    """What a sign is called."""

    name: str = Field(min_length=1, max_length=640, examples=["Grandma"])
    """At most 80 characters of any script. One that the recogniser knows, such as PLEASE, is another way to sign it."""


class SharedToken(_Request):
    """Which shared set."""

    token: str = Field(min_length=4, max_length=80)


class SignSetInfo(_Schema):
    """A sign set."""

    id: UUID
    name: str
    sign_language: str
    keep_landmarks: bool
    shared: bool
    """Whether a token reads it."""
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: SignSet) -> SignSetInfo:
        return cls(
            id=row.id,
            name=row.name,
            sign_language=row.sign_language,
            keep_landmarks=row.keep_landmarks,
            shared=row.share_digest is not None,
            created_at=row.created_at,
            changed_at=row.changed_at,
        )


class ListedSignSet(SignSetInfo):
    """A sign set in the list."""

    signs: int
    recordings: int

    @classmethod
    def listed(cls, entry: Listed) -> ListedSignSet:
        info = SignSetInfo.of(entry.row).model_dump()
        return cls(**info, signs=entry.signs, recordings=entry.recordings)


class SignSetList(_Schema):
    """By name."""

    sets: list[ListedSignSet]


class ReadBackInfo(_Schema):
    """How recordings of a sign are read, each with the set as it would be without it."""

    right: int
    of: int
    confused_with: list[str]
    """Signs that the others were taken for, the most frequent first."""

    @classmethod
    def of_sign(cls, back: ReadBack | None) -> ReadBackInfo | None:
        return None if back is None else cls(right=back.right, of=back.of, confused_with=list(back.confused_with))


class RecordingInfo(_Schema):
    """A recording of a sign."""

    id: UUID
    duration_s: float
    landmarks: bool
    """Whether they are stored."""
    created_at: datetime

    @classmethod
    def of(cls, row: SignRecording) -> RecordingInfo:
        return cls(id=row.id, duration_s=row.duration_s, landmarks=row.landmarks is not None, created_at=row.created_at)


class TaughtSignInfo(_Schema):
    """A sign of a set."""

    id: UUID
    gloss: str
    """As captions show it."""
    recordings: list[RecordingInfo]
    read_back: ReadBackInfo | None
    """null with fewer than two recordings."""

    @classmethod
    def of(cls, sign: Sign) -> TaughtSignInfo:
        recordings = [RecordingInfo.of(row) for row in sign.recordings]
        back = ReadBackInfo.of_sign(sign.back)
        return cls(id=sign.row.id, gloss=sign.row.gloss, recordings=recordings, read_back=back)

    @classmethod
    def empty(cls, row: TaughtSignRow) -> TaughtSignInfo:
        return cls(id=row.id, gloss=row.gloss, recordings=[], read_back=None)


class SignSetContents(SignSetInfo):
    """A sign set and its signs."""

    readable: bool
    """False: it was taught to another recogniser than the one in use, and has to be taught again."""
    signs: list[TaughtSignInfo]

    @classmethod
    def of_contents(cls, contents: Contents) -> SignSetContents:
        info = SignSetInfo.of(contents.row).model_dump()
        return cls(**info, readable=contents.readable, signs=[TaughtSignInfo.of(sign) for sign in contents.signs])


class SharedSignSet(_Schema):
    """A set that somebody shares."""

    name: str
    sign_language: str
    readable: bool
    glosses: list[str]

    @classmethod
    def of(cls, contents: Contents) -> SharedSignSet:
        return cls(
            name=contents.row.name,
            sign_language=contents.row.sign_language,
            readable=contents.readable,
            glosses=[sign.row.gloss for sign in contents.signs],
        )


class Share(_Schema):
    """How others read a set."""

    token: str
    """In `sign_sets` of a session or request, in place of an id. It is in this answer and nowhere else."""


class NoteInfo(_Schema):
    """Something to know about a recording."""

    code: Literal["cut_off", "different", "different_signs", "confusable", "same"]
    message: str
    """What is wrong, and what to do."""

    @classmethod
    def of(cls, note: Note) -> NoteInfo:
        return cls.model_validate({"code": note.code, "message": note.message})


class LearnedRecording(_Schema):
    """A recording was learned from."""

    recording: RecordingInfo
    sign: TaughtSignInfo
    notes: list[NoteInfo]

    @classmethod
    def of(cls, added: Added) -> LearnedRecording:
        return cls(
            recording=RecordingInfo.of(added.recording),
            sign=TaughtSignInfo.of(added.sign),
            notes=[NoteInfo.of(note) for note in added.notes],
        )
