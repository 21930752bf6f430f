"""A sign set as a file: JSON, versioned, with bounds on everything in it, so that files of strangers can be read."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec
import numpy as np

from app.core.errors import InvalidSignFile, ServiceError
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.invalid import InvalidLandmarkFile
from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
from app.services.signs.names import checked_gloss, checked_language, checked_name

FORMAT, VERSION = "glossline-signs", 1
#: Bytes of a file.
MAX_FILE = 64 << 20
_MAX_SIGNS, _MAX_RECORDINGS = 500, 50
#: Numbers of an embedding, and characters of the name of what it can be compared with.
_MAX_DIM, _MAX_SPACE = 4096, 200
#: Bytes of a recording's landmarks: ten seconds at 60 frames a second take a fifth.
_MAX_LANDMARKS = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """One recording, as the database holds it."""

    space: str
    embedding: bytes
    """float16, little-endian."""
    landmarks: bytes | None
    """An .npz."""
    duration_s: float


@dataclass(frozen=True, slots=True)
class SignInFile:
    """One sign."""

    gloss: str
    recordings: tuple[StoredRecording, ...]


@dataclass(frozen=True, slots=True)
class SetFile:
    """What a file holds."""

    name: str
    sign_language: str
    signs: tuple[SignInFile, ...]


class _Recording(msgspec.Struct):
    space: str
    embedding: str
    duration_s: float
    landmarks: str | None = None


class _Sign(msgspec.Struct):
    gloss: str
    recordings: list[_Recording]


class _Head(msgspec.Struct):
    format: str
    version: int


class _File(_Head):
    name: str
    sign_language: str
    signs: list[_Sign]


def written(content: SetFile) -> bytes:
    """Raises InvalidSignFile where it would be too large."""
    signs = [
        _Sign(
            sign.gloss,
            [
                _Recording(
                    r.space, _text(r.embedding), r.duration_s, None if r.landmarks is None else _text(r.landmarks)
                )
                for r in sign.recordings
            ],
        )
        for sign in content.signs
    ]
    data = msgspec.json.encode(_File(FORMAT, VERSION, content.name, content.sign_language, signs))
    if len(data) > MAX_FILE:
        raise InvalidSignFile(f"The file would be larger than {MAX_FILE >> 20} MiB. Export without landmarks.")
    return data


def read_file(data: bytes) -> SetFile:
    """What `written` wrote, checked. Raises InvalidSignFile."""
    if len(data) > MAX_FILE:
        raise InvalidSignFile(f"The file is larger than {MAX_FILE >> 20} MiB, the limit.")
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise InvalidSignFile(
            "This is not a whole file of a sign set: it was cut short, or is something else. Export it again."
        ) from problem
    if head.format != FORMAT:
        raise InvalidSignFile(f"This is not a file of a sign set: its format is '{head.format[:40]}', not {FORMAT}.")
    if head.version != VERSION:
        raise InvalidSignFile(
            f"The file has version {head.version}; this service reads version {VERSION}. Update the service, or export "
            "the set from one of this version."
        )
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise InvalidSignFile(f"The file of the set is damaged: {str(problem)[:200]}. Export it again.") from problem
    try:
        return _checked(file)
    except ServiceError as problem:
        raise InvalidSignFile(f"The file of the sign set cannot be used: {problem.detail.rstrip('.')}.") from problem


def _checked(file: _File) -> SetFile:
    if len(file.signs) > _MAX_SIGNS:
        raise InvalidSignFile(f"it has {len(file.signs)} signs, more than {_MAX_SIGNS}")
    signs = tuple(_sign(sign) for sign in file.signs)
    if len({sign.gloss for sign in signs}) != len(signs):
        raise InvalidSignFile("two signs in it have one name")
    return SetFile(checked_name(file.name), checked_language(file.sign_language), signs)


def _sign(sign: _Sign) -> SignInFile:
    gloss = checked_gloss(sign.gloss)
    if len(sign.recordings) > _MAX_RECORDINGS:
        raise InvalidSignFile(f"{gloss} has {len(sign.recordings)} recordings, more than {_MAX_RECORDINGS}")
    return SignInFile(gloss, tuple(_recording(gloss, r) for r in sign.recordings))


def _recording(gloss: str, given: _Recording) -> StoredRecording:
    embedding = _bytes(gloss, given.embedding, 2 * _MAX_DIM)
    if not embedding or len(embedding) % 2 or not 0 < len(given.space) <= _MAX_SPACE or not given.space.isprintable():
        raise InvalidSignFile(f"a recording of {gloss} is damaged")
    row = np.frombuffer(embedding, "<f2").astype(np.float32)
    if not np.isfinite(row).all() or not 0.9 < float(np.linalg.norm(row)) < 1.1:
        raise InvalidSignFile(f"an embedding of {gloss} is damaged")
    if not 0 < given.duration_s <= 60:
        raise InvalidSignFile(f"a recording of {gloss} lasts {given.duration_s:g} s")
    landmarks = None
    if given.landmarks is not None:
        landmarks = _bytes(gloss, given.landmarks, _MAX_LANDMARKS)
        try:
            clip: Keypoints = load_landmarks(landmarks, "recording.npz")
        except InvalidLandmarkFile as problem:
            raise InvalidSignFile(f"landmarks of {gloss} cannot be read: {problem}") from problem
        if clip.duration_s > 60:
            raise InvalidSignFile(f"landmarks of {gloss} last {clip.duration_s:.0f} s")
    return StoredRecording(given.space, embedding, landmarks, given.duration_s)


def _bytes(gloss: str, text: str, most: int) -> bytes:
    if len(text) > 4 * (most // 3 + 1):
        raise InvalidSignFile(f"a recording of {gloss} is too large")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise InvalidSignFile(f"a recording of {gloss} is damaged") from problem


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
