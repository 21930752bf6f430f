"""Request and answer of text to signs."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.pipeline.glossing import Item
from app.pipeline.keypoints import Keypoints
from app.services.performing.service import MAX_SIGNS, MAX_TEXT, NOTICE, Glossed, Performed
from app.signer.figure import HEIGHT, WIDTH
from app.signer.performance import FPS

_EXAMPLE: dict[str, Any] = {
    "notice": NOTICE,
    "text": "Mi madre quiere agua.",
    "language": "es",
    "english": "My mother wants water.",
    "translator": "apertium",
    "glosses": ["MY", "MOTHER", "WANT", "WATER"],
    "without_sign": [],
    "items": [{"kind": "sign", "text": "MOTHER", "glosses": ["MOTHER"], "words": [1], "start_s": 1.6, "end_s": 2.9}],
    "words": [{"text": "mother", "start": 3, "end": 9, "use": "sign", "items": [1]}],
    "duration_s": 6.4,
    "fps": 25,
    "width": 640,
    "height": 480,
    "landmarks": {"encoding": "float16", "shape": [160, 75, 3], "data": "ADgAOAA8"},
}


class PerformRequest(BaseModel):
    """What to sign: a text, or glosses."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"text": "My mother wants water."},
                {"text": "Mi madre quiere agua.", "language": "es", "format": "mp4"},
                {"glosses": ["MOTHER", "WANT", "WATER"]},
            ]
        },
    )

    text: str | None = Field(None, description=f"English or Spanish, at most {MAX_TEXT} characters.")
    glosses: list[Annotated[str, Field(max_length=60)]] | None = Field(
        None, min_length=1, max_length=MAX_SIGNS, description="Instead of a text: signs in order, of GET /api/signs."
    )
    language: Literal["en", "es"] | None = Field(None, description="Of the text; without it, it is guessed.")
    format: Literal["landmarks", "mp4"] = Field(
        "landmarks", description="JSON with landmarks, which is free, or a drawn video, which costs its seconds."
    )

    @model_validator(mode="after")
    def _one(self) -> PerformRequest:
        if (self.text is None) == (self.glosses is None):
            raise ValueError("give either text or glosses")
        return self


class PerformedItem(BaseModel):
    """One thing that is shown, in order."""

    kind: Literal["sign", "spelled", "text"] = Field(description="`text`: it has no sign; show the word.")
    text: str = Field(description="The gloss; of a spelled word and one without a sign, the word as written.")
    glosses: list[str] = Field(description="Signs that are made: one, the letters, or none.")
    words: list[int] = Field(description="Which of `words` it stands for.")
    start_s: float = Field(ge=0, description="Start, in seconds from the start of the performance.")
    end_s: float = Field(ge=0)


class WordAccount(BaseModel):
    """What became of one word of `english`."""

    text: str
    start: int = Field(ge=0, description="Place of its first character in `english`.")
    end: int = Field(ge=0, description="Place after its last.")
    use: Literal["sign", "spelled", "text", "grammar"] = Field(
        description="`text`: it has no sign; `grammar`: it is not signed, such as articles."
    )
    items: list[int] = Field(description="Which of `items` stand for it.")


class Landmarks(BaseModel):
    """An array, compact."""

    encoding: Literal["float16"] = Field(description="Little-endian, in base64.")
    shape: tuple[int, int, int] = Field(description="Frames, 75 points, (x, y, visibility or presence).")
    data: str

    @classmethod
    def of(cls, clip: Keypoints) -> Landmarks:
        """Takes a moment for a long clip."""
        frames, points, channels = clip.points.shape
        data = base64.b64encode(clip.points.astype("<f2").tobytes()).decode("ascii")
        return cls(encoding="float16", shape=(frames, points, channels), data=data)


class PerformAnswer(BaseModel):
    """A performance of the prototype signer."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    notice: str = Field(description="What this is and what it is not. Show it to people.")
    text: str | None = Field(description="The text as it was read; null for glosses.")
    language: str | None = Field(description="Of the text, ISO 639-1.")
    english: str | None = Field(description="What the glosses were made of: the text, or its translation.")
    translator: str | None = Field(description="Engine that translated it; null: nothing was translated.")
    glosses: list[str] = Field(description="The signs in order, letters included.")
    without_sign: list[str] = Field(description="Words that have no sign and are not spelled.")
    items: list[PerformedItem]
    words: list[WordAccount] = Field(description="Every word of `english`.")
    duration_s: float
    fps: float
    width: int = Field(description="Width of the picture that x is a share of.")
    height: int
    landmarks: Landmarks

    @classmethod
    def of(cls, performed: Performed, glossed: Glossed | None) -> PerformAnswer:
        """Takes a moment for a long one."""
        words = glossed.glossing.words if glossed is not None else ()
        return cls(
            notice=NOTICE,
            text=glossed.text if glossed else None,
            language=glossed.language if glossed else None,
            english=glossed.english if glossed else None,
            translator=glossed.translator if glossed else None,
            glosses=[gloss for item in performed.items for gloss in item.glosses],
            without_sign=[item.text for item in performed.items if item.kind == "text"],
            items=[
                _item(item, start, end) for item, (start, end) in zip(performed.items, performed.times, strict=True)
            ],
            words=[WordAccount(text=w.text, start=w.start, end=w.end, use=w.use, items=list(w.items)) for w in words],
            duration_s=round(performed.keypoints.duration_s, 3),
            fps=FPS,
            width=WIDTH,
            height=HEIGHT,
            landmarks=Landmarks.of(performed.keypoints),
        )


def _item(item: Item, start_s: float, end_s: float) -> PerformedItem:
    return PerformedItem(
        kind=item.kind,
        text=item.text,
        glosses=list(item.glosses),
        words=list(item.words),
        start_s=round(start_s, 3),
        end_s=round(end_s, 3),
    )
