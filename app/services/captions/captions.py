"""From stream updates to the captions that are sent: sentence number, revision, what has changed."""

from __future__ import annotations

import math
from typing import Any, Literal

from app.pipeline.caption import Caption
from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.recogniser import GlossSegment
from app.pipeline.streaming import EndReason, StreamUpdate
from app.services.captions.events import Final, Partial, Prediction

#: Below this confidence a prediction for a frame is "none".
PREDICTION_THRESHOLD = 0.50

Reason = Literal["endpoint", "flush", "too_long"]

_REASONS: dict[EndReason, Reason] = {
    EndReason.PAUSE: "endpoint",
    EndReason.TOO_LONG: "too_long",
    EndReason.FLUSH: "flush",
}


class Captions:
    """The sentences of one session, one after the other."""

    def __init__(self, interim: bool, model: str) -> None:
        """interim: whether to send partials; model: id of the checkpoint."""
        self.segments = 0
        """Number of finished sentences."""
        self.signs = 0
        """Number of signs in them."""
        self.pause_s = math.inf
        """Capture time of the frame with which the sentence ends unless another sign comes."""
        self._interim, self._model = interim, model
        self._revision = 0
        self._shown: tuple[Any, ...] = ()
        self._sign: GlossSegment | None = None  # the latest of the running sentence

    @property
    def open(self) -> bool:
        """Whether a part of the running sentence has been sent."""
        return bool(self._shown)

    def prediction(self) -> Prediction:
        """The sign that is being made."""
        if self._sign is None:
            return Prediction(label="none", score=0.0)
        sure = self._sign.confidence >= PREDICTION_THRESHOLD
        return Prediction(label=self._sign.gloss if sure else "none", score=round(self._sign.confidence, 4))

    def event(self, update: StreamUpdate, lag_ms: float) -> Partial | Final | None:
        """The event to send; None if nothing has changed for the client."""
        self.pause_s = math.inf
        if update.pause_s is not None and update.ended is None:
            # A frame covers the time up to the next one.
            self.pause_s = update.pause_s - 1 / MODEL_FPS - 1e-6
        self._sign = update.segments[-1] if update.segments and update.ended is None else None
        shown = tuple((s.gloss, s.start_s) for s in update.segments), len(update.final)
        if update.ended is None and (shown == self._shown or not (update.segments or self._shown)):
            return None
        self._revision += 1
        event: Partial | Final | None = None
        if update.ended is not None and update.segments:
            event = Final(**self._content(update, lag_ms), reason=_REASONS[update.ended])
            self.segments += 1
            self.signs += len(update.segments)
        elif self._interim and (update.ended is None or self._shown):  # at the end, what was sent has been retracted
            event = Partial(**self._content(update, lag_ms))
        self._revision, self._shown = (self._revision, shown) if update.ended is None else (0, ())
        return event

    def _content(self, update: StreamUpdate, lag_ms: float) -> dict[str, Any]:
        return {
            "segment": self.segments,
            "revision": self._revision,
            **Caption.of_update(update, self._model).as_event(),
            "lag_ms": round(lag_ms, 1),
        }
