"""Traces of requests for OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; otherwise nothing.

A request's span has one for each part of the work below it: `extraction`, `model`, `decoding`, `database`. Spans hold
no content of requests: a method, a route, a status, a number of frames.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from app.core.settings import Settings, SettingsError

#: The tracer of OpenTelemetry while traces are on. Its packages are an extra, hence no type.
_tracer: Any = None


@contextlib.contextmanager
def tracing(settings: Settings, version: str) -> Iterator[None]:
    """While the block lasts, spans go to the collector; its end sends what is left. Raises SettingsError."""
    global _tracer
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as problem:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}: the packages for traces cannot be loaded ({problem}). Install "
            "them with: python -m pip install -r requirements-otel.txt"
        ) from problem
    provider = TracerProvider(
        resource=Resource.create({"service.name": "glossline", "service.version": version}),
        sampler=ParentBased(TraceIdRatioBased(settings.otel_traces_sampler_arg)),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("glossline", version)
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


@contextlib.contextmanager
def span(name: str, **attributes: str | int | float) -> Iterator[Any]:
    """A part of the current request's work. Yields what takes more attributes by `set_attribute`, or None."""
    if _tracer is None:
        yield None
        return
    with _tracer.start_as_current_span(name, attributes=attributes, record_exception=False) as found:
        yield found


@contextlib.contextmanager
def request_span(name: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """The span of a whole request; headers: with `traceparent` it continues the trace of its client. Yields as `span`
    does."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({key: headers[key] for key in _PARENT if key in headers})
    with _tracer.start_as_current_span(name, parent, kind=SpanKind.SERVER, record_exception=False) as found:
        yield found


#: Headers that name the trace of the client.
_PARENT = ("traceparent", "tracestate")


def trace_id() -> str | None:
    """Of the current request, for its log lines; None without a trace."""
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
