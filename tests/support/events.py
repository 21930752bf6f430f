"""Events of live captions, as a session may send them."""

from __future__ import annotations

from app.services.captions.events import Partial, SentenceText, StreamWeights


def long_partial(segment: int, size: int) -> Partial:
    """With a sentence of `size` characters."""
    sentence = "x" * size
    return Partial(
        segment=segment,
        revision=1,
        start_ms=0,
        end_ms=40,
        until_ms=40,
        gloss=(),
        gloss_text="",
        sentence=sentence,
        text=SentenceText(en=sentence),
        confidence=0.5,
        attention=StreamWeights(rgb=0, pose=1),
        vocabulary="all",
        lag_ms=1.0,
    )
