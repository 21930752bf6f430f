"""The one answer that every door renders: what was signed in a clip or is being signed in a stream, rounded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.recogniser import GlossSegment, Recognition
from app.pipeline.streaming import StreamUpdate


@dataclass(frozen=True, slots=True)
class CaptionWarning:
    """A remark on a valid answer."""

    code: str
    """Stable name, for programs."""
    message: str
    """Explanation for people."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What was signed. Times in seconds from the start, to the millisecond; shares 0..1, to four decimals.

    No time is later than `duration_s`; the last lattice step may reach up to three frames past the clip.
    """

    signs: tuple[GlossSegment, ...]
    settled: int
    """Number of signs, from the first, that no later frame can change."""
    sentence: str
    """English."""
    confidence: float
    """Mean over the signs, 0 when there is none."""
    attention: dict[str, float]
    """Mean weight of each stream of the model, "rgb" and "pose"."""
    frame_count: int
    """Frames read."""
    duration_s: float
    """Length of the clip; for a stream, of the part read so far."""
    fps: float
    """Frame rate of the recogniser, in frames per second."""
    model: str
    """Id of the checkpoint that answered."""
    vocabulary: str
    """Name of the vocabulary it was read with; "custom": the client's own list."""
    warnings: tuple[CaptionWarning, ...] = ()
    by_rules: str | None = None
    """The sentence as the rules made it, where another one has taken its place; None else."""
    spanish: str | None = None
    """The sentence in Spanish; None: not translated."""

    @classmethod
    def of_recognition(
        cls, found: Recognition, model: str, vocabulary: str, warnings: Iterable[CaptionWarning] = ()
    ) -> Caption:
        """warnings: about the clip; whether signs are unsure is added."""
        return cls(
            signs=_rounded(found.segments, found.duration_s),
            settled=len(found.segments),
            sentence=found.sentence,
            confidence=_share(found.confidence),
            attention={"rgb": _share(found.attention["rgb"]), "pose": _share(found.attention["pose"])},
            frame_count=found.frame_count,
            duration_s=_seconds(found.duration_s),
            fps=round(found.fps, 3),
            model=model,
            vocabulary=vocabulary,
            warnings=(*warnings, *_about_unsure(found.segments)),
        )

    @classmethod
    def of_update(cls, update: StreamUpdate, model: str) -> Caption:
        """The running sentence of a stream, or the one that has just ended."""
        signs = update.segments
        return cls(
            signs=_rounded(signs, update.until_s),
            settled=len(signs) if update.ended is not None else len(update.final),
            sentence=update.sentence,
            confidence=_share(sum(s.confidence for s in signs) / len(signs) if signs else 0.0),
            attention={"rgb": _share(update.rgb), "pose": _share(1 - update.rgb)},
            frame_count=round(update.until_s * MODEL_FPS),
            duration_s=_seconds(update.until_s),
            fps=MODEL_FPS,
            model=model,
            vocabulary=update.vocabulary,
        )

    @property
    def gloss(self) -> list[str]:
        return [sign.gloss for sign in self.signs]

    @property
    def text(self) -> dict[str, str | None]:
        """The sentence by language; None: not translated."""
        return {"en": self.sentence, "es": self.spanish}

    def as_clip(self) -> dict[str, Any]:
        """For JSON: a clip's answer, in seconds."""
        return {
            "gloss": self.gloss,
            "sentence": self.sentence,
            "by_rules": self.by_rules,
            "confidence": self.confidence,
            "fps": self.fps,
            "frame_count": self.frame_count,
            "duration_s": self.duration_s,
            "segments": [asdict(sign) for sign in self.signs],
            "text": self.text,
            "attention": self.attention,
            "warnings": [asdict(warning) for warning in self.warnings],
            "model": self.model,
            "vocabulary": self.vocabulary,
        }

    def as_event(self) -> dict[str, Any]:
        """For JSON: how a sentence of a stream stands, in milliseconds."""
        until_ms = milliseconds(self.duration_s)
        return {
            "start_ms": milliseconds(self.signs[0].start_s) if self.signs else until_ms,
            "end_ms": milliseconds(self.signs[-1].end_s) if self.signs else until_ms,
            "until_ms": until_ms,
            "gloss": [
                {
                    "gloss": s.gloss,
                    "confidence": s.confidence,
                    "start_ms": milliseconds(s.start_s),
                    "end_ms": milliseconds(s.end_s),
                    "final": place < self.settled,
                    "unsure": s.unsure,
                }
                for place, s in enumerate(self.signs)
            ],
            "gloss_text": " ".join(self.gloss),
            "sentence": self.sentence,
            "text": self.text,
            "confidence": self.confidence,
            "attention": self.attention,
            "vocabulary": self.vocabulary,
        }


def _about_unsure(signs: Sequence[GlossSegment]) -> list[CaptionWarning]:
    unsure = [sign.gloss for sign in signs if sign.unsure]
    if not unsure:
        return []
    which = f"Unsure signs, {len(unsure)} of {len(signs)}: {', '.join(dict.fromkeys(unsure))}."
    return [CaptionWarning("low_confidence", f"{which} Such a sign may be another one, or none of the vocabulary.")]


def _rounded(signs: Sequence[GlossSegment], until_s: float) -> tuple[GlossSegment, ...]:
    return tuple(
        replace(
            sign,
            start_s=_seconds(min(sign.start_s, until_s)),
            end_s=_seconds(min(sign.end_s, until_s)),
            confidence=_share(sign.confidence),
        )
        for sign in signs
    )


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 4)


def _seconds(value: float) -> float:
    return round(float(value), 3)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
