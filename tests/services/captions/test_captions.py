"""What a stream has read becomes the events of its sentences."""

from __future__ import annotations

import pytest

from app.pipeline.recogniser import GlossSegment
from app.pipeline.streaming import EndReason, StreamUpdate
from app.services.captions.captions import Captions
from app.services.captions.events import Final, Partial

HELLO = GlossSegment(gloss="HELLO", start_s=0.2, end_s=0.8, confidence=0.91234)
NAME = GlossSegment(gloss="NAME", start_s=1.0, end_s=1.4, confidence=0.4)


def update(
    final: tuple[GlossSegment, ...] = (), partial: tuple[GlossSegment, ...] = (), ended: EndReason | None = None
) -> StreamUpdate:
    return StreamUpdate(final, partial, "Hello.", 2.0, ended, rgb=0.25, pause_s=3.0 if final or partial else None)


def test_a_sentence_from_its_first_sign_to_its_end() -> None:
    captions = Captions(interim=True, model="tiny")
    assert captions.event(update(), 10.0) is None
    first = captions.event(update(partial=(HELLO,)), 12.34)
    assert isinstance(first, Partial)
    assert (first.segment, first.revision, first.lag_ms) == (0, 1, 12.3)
    assert (first.start_ms, first.end_ms, first.until_ms) == (200, 800, 2000)
    assert first.gloss[0].model_dump() == {
        "gloss": "HELLO", "confidence": 0.9123, "start_ms": 200, "end_ms": 800, "final": False,
        "unsure": False,
    }  # fmt: skip
    assert first.attention.model_dump() == {"rgb": 0.25, "pose": 0.75}
    assert captions.open
    assert captions.pause_s == pytest.approx(2.96, abs=1e-3)
    assert captions.event(update(partial=(HELLO,)), 10.0) is None  # nothing new
    second = captions.event(update(final=(HELLO,), partial=(NAME,)), 10.0)
    assert isinstance(second, Partial)
    assert second.revision == 2
    assert [g.final for g in second.gloss] == [True, False]
    end = captions.event(update(final=(HELLO,), partial=(NAME,), ended=EndReason.PAUSE), 10.0)
    assert isinstance(end, Final)
    assert (end.revision, end.reason, end.gloss_text) == (3, "endpoint", "HELLO NAME")
    assert end.confidence == pytest.approx(0.6562, abs=1e-4)
    assert all(g.final for g in end.gloss)
    assert captions.segments == 1
    assert not captions.open
    after = captions.event(update(partial=(NAME,)), 10.0)
    assert after is not None
    assert (after.segment, after.revision) == (1, 1)


def test_what_was_shown_and_is_taken_back_is_an_empty_partial() -> None:
    captions = Captions(interim=True, model="tiny")
    captions.event(update(partial=(HELLO,)), 0.0)
    back = captions.event(update(ended=EndReason.FLUSH), 0.0)
    assert isinstance(back, Partial)
    assert back.gloss == ()
    assert captions.segments == 0


def test_without_interim_there_are_finals_alone() -> None:
    captions = Captions(interim=False, model="tiny")
    assert captions.event(update(partial=(HELLO,)), 0.0) is None
    assert isinstance(captions.event(update(final=(HELLO,), ended=EndReason.TOO_LONG), 0.0), Final)


def test_the_prediction_is_the_sign_being_made_where_it_is_sure_enough() -> None:
    captions = Captions(interim=True, model="tiny")
    assert captions.prediction().model_dump(include={"label", "score"}) == {"label": "none", "score": 0.0}
    captions.event(update(partial=(HELLO,)), 0.0)
    assert captions.prediction().model_dump(include={"label", "score"}) == {"label": "HELLO", "score": 0.9123}
    captions.event(update(partial=(HELLO, NAME)), 0.0)
    assert captions.prediction().model_dump(include={"label", "score"}) == {"label": "none", "score": 0.4}
    captions.event(update(final=(HELLO, NAME), ended=EndReason.PAUSE), 0.0)
    assert captions.prediction().label == "none"
