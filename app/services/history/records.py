"""What is kept of a clip or a live session: sentences and how they came about, never pictures or landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from app.pipeline.caption import Caption, milliseconds
from app.pipeline.module4_language import to_english
from app.services.recognition.service import ClipResult
from app.services.recognition.subtitles import runs


@dataclass(frozen=True, slots=True)
class Begun:
    """A session has begun; columns of `caption_sessions`."""

    session_id: UUID
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence is final; columns of `caption_lines`."""

    session_id: UUID
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """A session has ended; columns of `caption_sessions`."""

    session_id: UUID
    values: dict[str, Any]


Record = Begun | Line | Ended


def of_clip(user_id: UUID, result: ClipResult, credits: int) -> list[Record]:
    """A clip, with a line for each part between pauses. credits: what it cost."""
    caption, now, session_id = result.caption, datetime.now(UTC), uuid4()
    begun = {
        "user_id": user_id,
        "kind": "clip",
        "sign_language": result.sign_language,
        "model": caption.model,
        "vocabulary": caption.vocabulary,
        "started_at": now,
        "ended_at": now,
        "duration_s": caption.duration_s,
        "credits": credits,
    }
    records: list[Record] = [Begun(session_id, begun)]
    parts = runs(caption.signs)
    for number, signs in enumerate(parts):
        glosses = [sign.gloss for sign in signs]
        sentence = caption.sentence if len(parts) == 1 else to_english(glosses, result.sign_language)
        values = {
            "number": number,
            "start_ms": milliseconds(signs[0].start_s),
            "end_ms": milliseconds(signs[-1].end_s),
            "glosses": [
                {
                    "gloss": sign.gloss,
                    "confidence": sign.confidence,
                    "start_ms": milliseconds(sign.start_s),
                    "end_ms": milliseconds(sign.end_s),
                    "unsure": sign.unsure,
                }
                for sign in signs
            ],
            "gloss_text": " ".join(glosses),
            "sentence": sentence,
            "text": _text(caption) if len(parts) == 1 else {"en": sentence, "es": result.spanish.get(sentence)},
            "partials": [],
            "confidence": round(sum(sign.confidence for sign in signs) / len(signs), 4),
            "vocabulary": caption.vocabulary,
            "lag_ms": round(result.processing_time_s * 1000, 1),
        }
        records.append(Line(session_id, values))
    return records


def _text(caption: Caption) -> dict[str, str | None]:
    """By language; beside it the sentence of the rules, where another one has taken its place."""
    return caption.text | ({"by_rules": caption.by_rules} if caption.by_rules is not None else {})
