"""Everything the service counts and times, in a registry of its own for each application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from app.pipeline.stages import STAGES, OnStage

# Would add a time series with the creation time of each; not used here.
disable_created_metrics()

#: Seconds. A stage takes from a fraction of a millisecond (a live sentence) to minutes (the landmarks of a long video).
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
#: Fine between 50 ms and 1 s, where live captions are good or bad.
LAG_BUCKETS = (0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
#: Where a stage ran: for a whole clip, or for a live session.
SOURCES = ("clip", "live")
#: What became of the frames of live sessions.
FRAMES = ("received", "used", "dropped")
#: Fine towards 1, where most signs are.
CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
#: States of a training job that has ended.
JOBS_ENDED = ("finished", "stopped", "failed", "lost")


class Metrics:
    """One per application. Counters and histograms may be moved from any thread.

    Numbers that live elsewhere are fetched by `refresh` just before they are read.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)

        self.requests = counter("glossline_http_requests", "Requests answered.", ["method", "route", "status"])
        self.request_seconds = histogram(
            "glossline_http_request_seconds",
            "From the request's head to the end of its answer.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
        )
        self.websockets_open = gauge("glossline_websocket_connections", "WebSockets open now.", ["route"])
        self.websockets = counter("glossline_websocket_connections_opened", "WebSockets accepted.", ["route"])
        self.websockets_closed = counter(
            "glossline_websocket_connections_closed",
            "WebSockets that ended, by close code; `refused`: before they were open.",
            ["route", "code"],
        )

        self.stage_seconds = histogram(
            "glossline_stage_seconds",
            "Time of one piece of work in a stage: a clip, new frames of a session, a call of the network.",
            ["stage", "source"],
            buckets=STAGE_BUCKETS,
        )
        for stage in STAGES:
            for source in SOURCES:
                self.stage_seconds.labels(stage, source)  # there from the start, with 0
        self.batch_clips = histogram(
            "glossline_batch_clips", "Clips that share a turn at the network.", buckets=BATCH_BUCKETS
        )
        self.clips_read = counter("glossline_clips", "Clips that got an answer from the model.")
        self.batch_windows = histogram(
            "glossline_batch_windows", "Windows of live sessions in one call of the network.", buckets=BATCH_BUCKETS
        )
        self.requests_inside = gauge("glossline_recognition_requests", "Recognition requests running and waiting.")
        self.waiting = gauge(
            "glossline_queue_length",
            "Queued work: clips and live sessions for the model, frames of live sessions for their session's turn, "
            "pictures of live sessions for their landmarks.",
            ["queue"],
        )

        self.live_sessions = gauge(
            "glossline_live_sessions", "Live sessions, including those whose client may still resume."
        )
        self.live_connected = gauge("glossline_live_sessions_connected", "Live sessions with a connected client.")
        self.live_opened = counter("glossline_live_sessions_opened", "Live sessions started.")
        self.live_refused = counter("glossline_live_refused", "Clients refused a live session.", ["reason"])
        self.live_frames = counter(
            "glossline_live_frames", "Frames of live sessions: received, used by the model, dropped.", ["outcome"]
        )
        self.live_events = counter("glossline_live_events", "Events sent to live clients.", ["type"])
        self.caption_lag = histogram(
            "glossline_live_caption_lag_seconds",
            "From the arrival of a session's newest frame to the captions that have read it.",
            buckets=LAG_BUCKETS,
        )
        for outcome in FRAMES:
            self.live_frames.labels(outcome)

        self.credits_debited = counter(
            "glossline_credits_debited", "Credits debited, for clips and for live captions.", ["kind"]
        )
        for kind in ("clip", "live"):
            self.credits_debited.labels(kind)
        self.credits_reserved = gauge("glossline_credits_reserved", "Credits held for work of this process.")
        self.credits_refused = counter(
            "glossline_credits_refused", "Requests and sessions refused for want of credits."
        )
        self.credits_wrong_accounts = gauge(
            "glossline_credits_wrong_accounts",
            "Accounts whose ledger does not add up (checked every five minutes); anything but 0 is a fault.",
        )
        self.accounts = gauge("glossline_accounts", "Accounts by their plan (counted every five minutes).", ["plan"])
        self.stripe_events = counter(
            "glossline_stripe_events", "Webhooks of Stripe: applied, repeated, ignored, refused.", ["outcome"]
        )
        self.sign_confidence = histogram(
            "glossline_sign_confidence",
            "Confidence of each recognised sign, 0 to 1; live: of finished sentences.",
            ["source"],
            buckets=CONFIDENCE_BUCKETS,
        )
        self.signs_unsure = counter("glossline_signs_unsure", "Of these, signs marked as unsure.", ["source"])
        for source in SOURCES:
            self.sign_confidence.labels(source)
            self.signs_unsure.labels(source)

        self.grpc_calls = counter("glossline_grpc_calls", "gRPC calls ended.", ["method", "status"])
        self.grpc_seconds = histogram(
            "glossline_grpc_call_seconds",
            "From the beginning of a gRPC call to its end, by method; streams last as long as their session.",
            ["method"],
            buckets=REQUEST_BUCKETS,
        )

        self.jobs = gauge("glossline_training_jobs", "Training jobs that this process watches.", ["state"])
        self.jobs_ended = counter("glossline_training_jobs_ended", "Training jobs that have ended.", ["state"])
        for state in JOBS_ENDED:
            self.jobs_ended.labels(state)

        self.database_up = gauge(
            "glossline_database_up", "Whether the database answers: 1 or 0; -1: this service has none."
        )
        self.database_up.set(-1)
        self.build = gauge("glossline_build_info", "Always 1; what is running.", ["version", "revision"])
        self.model = gauge(
            "glossline_model_info",
            "Always 1; the active recogniser.",
            ["checkpoint", "backend", "device", "glosses"],
        )
        self._before_reading: list[Callable[[], None]] = []

    def stages(self, source: str) -> OnStage:
        """Observer of the stage times of a pipeline that works for `source` (one of SOURCES)."""
        observe = {stage: self.stage_seconds.labels(stage, source).observe for stage in STAGES}

        def on_stage(stage: str, seconds: float) -> None:
            observe[stage](seconds)

        return on_stage

    def count_signs(self, source: str, signs: Iterable[tuple[float, bool]]) -> None:
        """Signs that a client gets: confidence, and whether it is marked as unsure. source: one of SOURCES."""
        for confidence, unsure in signs:
            self.sign_confidence.labels(source).observe(confidence)
            if unsure:
                self.signs_unsure.labels(source).inc()

    def before_reading(self, fetch: Callable[[], None]) -> None:
        """`fetch` copies numbers kept elsewhere into these metrics; it runs on the event loop and must be fast."""
        self._before_reading.append(fetch)

    def refresh(self) -> None:
        """Update everything. Call it on the event loop, where the sources do not change during the update."""
        for fetch in self._before_reading:
            fetch()
