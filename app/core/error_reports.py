"""Unexpected errors to Sentry, where SENTRY_DSN says so: what the log has at ERROR, without anything of the request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loguru import logger

from app.core.logging import escaped
from app.core.settings import Settings, SettingsError

if TYPE_CHECKING:
    from loguru import Message

#: Seconds that reports get to be sent when the service stops.
FLUSH_S = 3.0
#: Fields of a log line that are sent along as tags.
_TAGS = ("event", "request_id", "trace_id", "principal_id", "session_id", "job_id", "method", "route")


@contextlib.contextmanager
def error_reports(settings: Settings, version: str) -> Iterator[None]:
    """While the block lasts, errors of the log go to Sentry. Enter it after `configure_logging`. Raises
    SettingsError."""
    if settings.sentry_dsn is None:
        yield
        return
    try:
        import sentry_sdk
    except ImportError as problem:
        raise SettingsError(
            f"SENTRY_DSN=(hidden): the package of Sentry cannot be loaded ({problem}). Install it with: python -m pip "
            "install -r requirements-sentry.txt"
        ) from problem
    try:
        sentry_sdk.init(
            dsn=settings.sentry_dsn.get_secret_value(),
            release=f"glossline@{settings.revision or version}",
            # No integrations: they add headers, bodies, queries and the values of variables.
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            before_send=_scrubbed,
        )
    except ValueError:
        raise SettingsError("SENTRY_DSN=(hidden): not a valid DSN; write https://KEY@HOST/PROJECT") from None
    sink = logger.add(_report, level="ERROR")
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # logging was configured again meanwhile
            logger.remove(sink)
        sentry_sdk.flush(FLUSH_S)
        sentry_sdk.get_client().close(timeout=0)


def _report(message: Message) -> None:
    import sentry_sdk

    record = message.record
    with sentry_sdk.new_scope() as scope:
        for tag in _TAGS:
            if (value := record["extra"].get(tag)) is not None:
                scope.set_tag(tag, str(value))
        scope.set_extra("message", record["message"])
        found = record["exception"]
        if found is not None and found.value is not None:
            sentry_sdk.capture_exception(found.value.with_traceback(found.traceback))
        else:
            sentry_sdk.capture_message(record["message"], level="error")


def _scrubbed(event: Any, hint: Any) -> Any:
    """The texts of exceptions without line breaks, endless length and credentials; the message has been through it."""
    for exception in (event.get("exception") or {}).get("values", ()):
        if isinstance(exception.get("value"), str):
            exception["value"] = escaped(exception["value"])
    return event
